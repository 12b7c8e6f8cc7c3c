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


def answer(name, rows):
    # Rows that are equal in what a file is sorted by come in any order.
    row = min(rows, key=lambda row: bytes(row["id"]))
    answers[name] = {
        "rows": len(rows),
        "id": bytes(row["id"]).hex(),
        "packages": sorted(str(package) for package in row["packages"]),
        "versions": {str(key): str(value) for key, value in dict(row["versions"]).items()},
        "username": str(row["username"]),
        "num_nodes": int(row["num_nodes"]),
        "is_compute": bool(row["is_compute"]),
        "start": pandas.Timestamp(row["start"]).isoformat(),
        "date": str(row["date"])[:10],
    }


answer("pyarrow", pyarrow.dataset.dataset(root, partitioning="hive").to_table().to_pylist())
answer("pandas", pandas.read_parquet(root).to_dict("records"))
answer("polars", polars.scan_parquet(files, hive_partitioning=True).collect().rows(named=True))
relation = duckdb.sql(f"FROM read_parquet('{files}', hive_partitioning = true)")
answer("duckdb", [dict(zip(relation.columns, row)) for row in relation.fetchall()])
answer("dask", dask.dataframe.read_parquet(root).compute().to_dict("records"))
print(json.dumps(answers))
