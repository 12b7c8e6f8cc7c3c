# Answers queries with DuckDB, over what `customs sql` offers, made here in DuckDB's own way.
#
# python sql.py DATASET TABLES: the queries as a list in JSON on standard input; prints the rows of each as objects in JSON.
import datetime
import json
import sys

import duckdb

dataset, tables = sys.argv[1:3]
sql = duckdb.connect()
sql.execute("SET TimeZone = 'UTC'")
sql.execute(f"CREATE VIEW records AS FROM read_parquet('{dataset}/date=*/*.parquet', hive_partitioning = true)")
sql.execute("""
CREATE TABLE processes AS
SELECT records.* FROM records JOIN (
    SELECT id, list, max({'seq': seq, 'elapsed': elapsed}) AS last FROM records GROUP BY id, list) AS newest
ON records.id = newest.id AND records.list = newest.list AND records.seq = newest.last.seq AND records.elapsed = newest.last.elapsed
""")
for table in ("jobs", "users"):
    sql.execute(f"CREATE VIEW {table} AS FROM '{tables}/{table}/*.parquet'")
sql.execute(f"CREATE TABLE sets AS SELECT id, any_value(names) AS names FROM '{tables}/sets/*.parquet' GROUP BY id")
for one in ("job", "user"):
    sql.execute(f"""
CREATE VIEW {one}_packages AS
SELECT table_of.*, package, EXISTS (
    SELECT 1 FROM sets AS own WHERE own.id = table_of.direct AND list_contains(own.names, package)) AS is_direct
FROM {one}s AS table_of, (SELECT id, unnest(names) AS package FROM sets) AS named WHERE named.id = table_of.packages""")
sql.execute("""
CREATE VIEW user_versions AS
SELECT users.*, regexp_extract(pair, '^([^ ]*) (.*)$', 1) AS package, regexp_extract(pair, '^([^ ]*) (.*)$', 2) AS version
FROM users, (SELECT id, unnest(names) AS pair FROM sets) AS named WHERE named.id = users.versions""")


# As `customs sql` writes it in JSON.
def cell(value):
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value.isoformat() if isinstance(value, datetime.date) else value


def answer(query):
    found = sql.execute(query)
    names = [column[0] for column in found.description]
    return [{name: cell(value) for name, value in zip(names, row)} for row in found.fetchall()]


print(json.dumps([answer(query) for query in json.load(sys.stdin)]))
