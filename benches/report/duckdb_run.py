"""Runs a file of queries with DuckDB: duckdb_run.py QUERIES DATASET OUT. Each answer becomes OUT/NAME.csv."""

import pathlib
import sys

import duckdb

queries, dataset, out = sys.argv[1:]
setup, *answers = pathlib.Path(queries).read_text().replace("{dataset}", dataset).split("-- answer: ")
connection = duckdb.connect()
connection.execute(setup)
for answer in answers:
    name, query = answer.split("\n", 1)
    connection.sql(query.strip().rstrip(";")).write_csv(f"{out}/{name}.csv", header=False)
