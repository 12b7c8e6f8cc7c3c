# What each reader makes of a dataset, as one JSON object: the same question to all of them.
import json
import sys

import dask.dataframe
import duckdb
import pandas
import polars
import pyarrow.dataset

root, files = sys.argv[1], sys.argv[1] + "/date=*/*.parquet"
answers = {}


def answer(name, row, count):
    packages, versions, date = row["packages"], row["versions"], row["date"]
    answers[name] = {
        "rows": int(count),
        "id": bytes(row["id"]).hex(),
        "packages": sorted(str(package) for package in packages),
        "versions": {str(key): str(value) for key, value in dict(versions).items()},
        "username": str(row["username"]),
        "num_nodes": int(row["num_nodes"]),
        "is_compute": bool(row["is_compute"]),
        "start": pandas.Timestamp(row["start"]).isoformat(),
        "date": str(date)[:10],
    }


table = pyarrow.dataset.dataset(root, partitioning="hive").to_table()
answer("pyarrow", table.to_pylist()[0], table.num_rows)
frame = pandas.read_parquet(root)
answer("pandas", frame.iloc[0], len(frame))
lazy = polars.scan_parquet(files, hive_partitioning=True).collect()
answer("polars", lazy.row(0, named=True), len(lazy))
relation = duckdb.sql(f"FROM read_parquet('{files}', hive_partitioning = true) ORDER BY id")
rows = relation.fetchall()
answer("duckdb", dict(zip(relation.columns, rows[0])), len(rows))
frame = dask.dataframe.read_parquet(root)
answer("dask", frame.compute().iloc[0], len(frame))
print(json.dumps(answers))
