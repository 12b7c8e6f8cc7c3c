# Packages by users and by jobs, from the tables of `customs reduce`, as one JSON object: the same question to all readers.
import json
import sys

import dask.dataframe
import duckdb
import pandas
import polars
import pyarrow
import pyarrow.compute
import pyarrow.dataset

root = sys.argv[1]
answers = {}


def answer(name, users, jobs):
    answers[name] = {what: {str(package): int(count) for package, count in rows} for what, rows in [("users", users), ("jobs", jobs)]}


# The answer of a library that has pandas's verbs. Of a job several rows can be there.
def with_frames(name, users, jobs, sets, compute=lambda frame: frame):
    sets = sets.rename(columns={"id": "packages"}).explode("names")
    users = users[users["rate"].isna()][["username", "packages"]].merge(sets, on="packages")
    users = compute(users[["names", "username"]].drop_duplicates())
    jobs = jobs[jobs["rate"].isna()]
    taken = compute(jobs.groupby(["system", "job_id"], observed=True)[["is_staff", "is_compute"]].max()).reset_index()
    taken = taken[taken["is_compute"] & ~taken["is_staff"]][["system", "job_id"]].astype(str)
    jobs = compute(jobs[["system", "job_id", "packages"]].merge(sets, on="packages")[["system", "job_id", "names"]].drop_duplicates())
    jobs = jobs.assign(system=jobs["system"].astype(str), job_id=jobs["job_id"].astype(str)).merge(taken, on=["system", "job_id"])
    answer(name, *[frame["names"].astype(str).value_counts().items() for frame in (users, jobs)])


read = lambda table: pandas.read_parquet(f"{root}/{table}")
with_frames("pandas", read("users"), read("jobs"), read("sets").drop_duplicates("id"))

read = lambda table: dask.dataframe.read_parquet(f"{root}/{table}")
with_frames("dask", read("users"), read("jobs"), pandas.read_parquet(f"{root}/sets").drop_duplicates("id"), lambda frame: frame.compute())

arrow = {table: pyarrow.dataset.dataset(f"{root}/{table}").to_table() for table in ("users", "jobs", "sets")}
names = dict(zip(arrow["sets"]["id"].to_pylist(), arrow["sets"]["names"].to_pylist()))
listed = {table: arrow[table].filter(pyarrow.compute.field("rate").is_null()).to_pylist() for table in ("users", "jobs")}
users, jobs, left_out, compute = {}, {}, set(), set()
for row in listed["users"]:
    for name in names[row["packages"]]:
        users.setdefault(name, set()).add(row["username"])
for row in listed["jobs"]:
    job = row["system"], row["job_id"]
    left_out |= {job} if row["is_staff"] else set()
    compute |= {job} if row["is_compute"] else set()
    for name in names[row["packages"]]:
        jobs.setdefault(name, set()).add(job)
jobs = [(name, len((found & compute) - left_out)) for name, found in jobs.items()]
answer("pyarrow", [(name, len(found)) for name, found in users.items()], [(name, count) for name, count in jobs if count])

QUERIES = [
    """SELECT name, count(DISTINCT username) AS count
       FROM (SELECT username, unnest(names) AS name FROM users JOIN sets ON users.packages = sets.id WHERE rate IS NULL)
       GROUP BY name""",
    """SELECT name, count(*) AS count
       FROM (SELECT DISTINCT system, job_id, unnest(names) AS name FROM jobs JOIN sets ON jobs.packages = sets.id WHERE rate IS NULL)
       JOIN (SELECT system, job_id FROM jobs WHERE rate IS NULL GROUP BY ALL HAVING bool_or(is_compute) AND NOT bool_or(is_staff)) USING (system, job_id)
       GROUP BY name""",
]
for table in ("users", "jobs"):
    duckdb.execute(f"CREATE VIEW {table} AS FROM '{root}/{table}/*.parquet'")
duckdb.execute(f"CREATE VIEW sets AS SELECT DISTINCT id, names FROM '{root}/sets/*.parquet'")
answer("duckdb", *[duckdb.sql(query).fetchall() for query in QUERIES])

scan = lambda table: polars.scan_parquet(f"{root}/{table}/*.parquet")
sets = scan("sets").unique("id").explode("names").rename({"names": "name"})
users = scan("users").filter(polars.col("rate").is_null()).join(sets, left_on="packages", right_on="id")
users = users.group_by("name").agg(polars.col("username").n_unique().alias("count")).drop_nulls("name").collect()
jobs = scan("jobs").filter(polars.col("rate").is_null())
taken = jobs.group_by("system", "job_id").agg(polars.col("is_compute").any(), polars.col("is_staff").any())
taken = taken.filter(polars.col("is_compute") & ~polars.col("is_staff")).select("system", "job_id")
jobs = jobs.join(taken, on=["system", "job_id"], how="semi").join(sets, left_on="packages", right_on="id")
jobs = jobs.select("system", "job_id", "name").unique().drop_nulls("name").group_by("name").len().collect()
answer("polars", users.rows(), jobs.rows())
print(json.dumps(answers))
