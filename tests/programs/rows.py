# rows.py DATASET: every row of a dataset in every column, as pyarrow and DuckDB read it: {READER: [ROW]}.
import datetime
import json
import sys

import duckdb
import pyarrow.dataset

root = sys.argv[1]


def plain(column, value):
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    if isinstance(value, datetime.date):
        return value.isoformat()
    return dict(value) if column == "versions" else value


def rows(columns, found):
    return [{name: plain(name, value) for name, value in zip(columns, row)} for row in found]


table = pyarrow.dataset.dataset(root, partitioning="hive").to_table()
relation = duckdb.sql(f"FROM read_parquet('{root}/date=*/*.parquet', hive_partitioning = true)")
print(json.dumps({
    "pyarrow": rows(table.column_names, [row.values() for row in table.to_pylist()]),
    "duckdb": rows(relation.columns, relation.fetchall()),
}))
