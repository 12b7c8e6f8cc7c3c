# Computes the figures of a report from the dataset itself, with DuckDB and pandas and without any table of `customs
# reduce`, and compares every row with the CSV and with the Parquet that the report has.
#
# python figures.py DATASET LEDGER REPORT FROM TO [WHERE-USERS WHERE-JOBS]: SQL that narrows processes, and jobs.
import csv
import json
import math
import sys

import duckdb
import pandas
import pyarrow.parquet

dataset, ledger, report, first, last = sys.argv[1:6]
where_users, where_jobs = sys.argv[6:] or ("true", "is_compute AND NOT is_staff")
canaries = [json.loads(line)["canary"] for line in open(ledger)]
sql = duckdb.connect()
sql.execute("SET TimeZone = 'UTC'")
sql.register("canaries", pandas.DataFrame({"canary": pandas.Series(canaries, dtype=object)}))
sql.execute(f"""
CREATE TABLE processes AS
SELECT *, coalesce(rate, 1.0) < 1 AS is_sampled, strftime(date::DATE, '%Y-%m') AS month,
    CASE WHEN container <> '' THEN 'container'
         WHEN contains(prefix, '/spack/') THEN 'spack'
         WHEN prefix LIKE '%/.venv' THEN 'venv'
         WHEN prefix LIKE '/opt/%' THEN 'module'
         WHEN prefix LIKE '%conda%' THEN 'conda'
         WHEN prefix = '/usr' THEN 'system'
         ELSE 'other' END AS environment,
    list_has_any(packages, ['ipykernel', 'notebook', 'jupyterlab', 'jupyter_server', 'jupyterhub']) AS is_jupyter
FROM read_parquet('{dataset}/date=*/*.parquet', hive_partitioning = true)
WHERE date::DATE BETWEEN '{first}' AND '{last}'
  AND NOT EXISTS (SELECT 1 FROM canaries WHERE canaries.canary = read_parquet.canary)
QUALIFY row_number() OVER (PARTITION BY id, list ORDER BY seq DESC, elapsed DESC) = 1
""")
sql.execute(f"CREATE VIEW seen AS SELECT * FROM processes WHERE NOT is_sampled AND {where_users}")


# Jobs of some rows; with `by` one for each of its values.
def jobs(name, condition, by="''"):
    sql.execute(f"""
CREATE TABLE {name} AS
SELECT * FROM (
    SELECT {by} AS part, system, job_id, max(username) AS username, max(num_nodes) AS nodes, bool_or(is_staff) AS is_staff,
        bool_or(is_compute) AS is_compute, max(subsystem) AS subsystem, max(repo) AS repo, bool_or(is_jupyter) AS is_jupyter,
        list_distinct(flatten(list(packages))) AS packages, list_distinct(flatten(list(direct))) AS direct,
        list_distinct(list(exit)) AS exits, list_distinct(list(environment)) AS environments,
        (max((epoch_us("start") + floor(elapsed * 1e6)::BIGINT) // 1000) - min(epoch_us("start") // 1000)) / 3.6e6 * max(num_nodes) AS node_hours
    FROM processes WHERE job_id <> '' AND {condition} GROUP BY ALL)
WHERE {where_jobs}""")


jobs("all_jobs", "NOT is_sampled")
jobs("months_jobs", "NOT is_sampled", "month")
jobs("sample", "is_sampled")
sql.execute("CREATE VIEW jobs AS SELECT * FROM all_jobs WHERE len(packages) > 0")
sql.execute("CREATE VIEW package_jobs AS SELECT unnest(packages) AS package, * FROM jobs")
sql.execute("CREATE VIEW package_users AS SELECT unnest(packages) AS package, * FROM seen")


def ask(query):
    return sql.execute(query).fetchall()


def value(query):
    return ask(query)[0][0]


users, count = value("SELECT count(DISTINCT username) FROM seen"), value("SELECT count(*) FROM jobs")
hours = value("SELECT coalesce(sum(node_hours), 0) FROM jobs")
compared = {}


# What a file has in these columns is `expected`, in whatever order: `keys` name a row.
def compare(figure, keys, columns, expected, near=1e-9):
    path = f"{report}/figures/{figure}"
    with open(f"{path}.csv", newline="") as file:
        text = list(csv.DictReader(file))
    table = pyarrow.parquet.read_table(f"{path}.parquet")
    assert table.num_rows == len(text) and (not text or table.column_names == list(text[0])), figure
    for row, other in zip(table.to_pylist(), text):
        for name, cell in row.items():
            assert ("" if cell is None else cell) == (float(other[name]) if isinstance(cell, float) else int(other[name]) if isinstance(cell, int) else other[name]), (figure, row, other)
    by_key = {}
    for row in table.to_pylist():
        by_key[tuple(row[column] for column in keys)] = [row[column] for column in columns]
    keys = len(keys)
    assert len(by_key) == len(text), f"{figure}: rows that are there twice"
    assert len(by_key) == len(expected), f"{figure}: {len(by_key)} rows, and {len(expected)} are expected"
    for row in expected:
        found = by_key.get(tuple(row[:keys]))
        assert found is not None, f"{figure}: no {row}"
        for one, other in zip(found, row[keys:]):
            is_same = one is None and (other is None or math.isnan(other)) or one is not None and other is not None and math.isclose(one, other, rel_tol=near, abs_tol=near)
            assert is_same, f"{figure}: {row[:keys]} has {found}, and {row[keys:]} is expected"
    compared[figure] = len(expected)


compare("top-users", ["package"], ["users", "share"], ask(f"SELECT package, count(DISTINCT username), count(DISTINCT username) / {users} FROM package_users GROUP BY package"))
compare("top-jobs", ["package"], ["jobs", "share", "users"], ask(f"SELECT package, count(*), count(*) / {count}, count(DISTINCT username) FROM package_jobs GROUP BY package"))
compare("top-node-hours", ["package"], ["node_hours", "share", "users"], ask(f"SELECT package, sum(node_hours), sum(node_hours) / {hours}, count(DISTINCT username) FROM package_jobs GROUP BY package"), near=1e-5)
compare("job-sizes", ["nodes"], ["jobs", "users"], ask("SELECT nodes, count(*), count(DISTINCT username) FROM jobs GROUP BY nodes"))
classes = "SELECT package, 2 ** floor(log2(nodes)) AS first, 2 * first - 1, count(*), count(DISTINCT username) FROM package_jobs GROUP BY ALL"
compare("package-sizes", ["package", "nodes_from", "nodes_to"], ["jobs", "users"], ask(classes))

# Pandas's own coefficient of what each job has: 1 or 0.
matrix = sql.execute("SELECT system || ' ' || job_id AS job, package FROM package_jobs").df()
matrix = pandas.crosstab(matrix["job"], matrix["package"]) if len(matrix) else pandas.DataFrame()
correlation, own = matrix.corr(), matrix.sum() if len(matrix) else pandas.Series(dtype=int)
packages = sorted(matrix.columns, key=lambda name: (-own[name], name))
both = {name: matrix[matrix[name] == 1].sum() for name in packages}
coefficient = lambda one, other: None if math.isnan(correlation.at[one, other]) else float(correlation.at[one, other])
pairs = [(one, other) for at, one in enumerate(packages) for other in packages[at + 1 :]]
met = [(*pair, int(both[pair[0]][pair[1]]), int(own[pair[0]]), int(own[pair[1]]), coefficient(*pair)) for pair in pairs]
met = [row for row in met if row[2] > 0 or row[5] is None]
compare("correlations", ["package", "other"], ["jobs", "jobs_of_package", "jobs_of_other", "correlation"], met)
for package in ["mpi4py", "multiprocessing", "dask"]:
    others = [name for name in packages if name != package] if package in packages else []
    rows = [(package, name, int(both[package][name]), int(own[name]), int(both[package][name]) / int(own[package]), coefficient(package, name)) for name in others]
    compare(f"with-{package}", ["package", "other"], ["jobs_with_both", "jobs_with_other", "share_of_package", "correlation"], rows)

of_jobs = dict(ask("SELECT environment, count(*) FROM (SELECT unnest(environments) AS environment FROM jobs) GROUP BY ALL"))
environments = ask("SELECT environment, count(DISTINCT username) FROM seen GROUP BY ALL")
share = lambda part, whole: part / whole if whole else None
rows = [(name, own, share(own, users), of_jobs.get(name, 0), share(of_jobs.get(name, 0), count)) for name, own in environments]
columns = ["users", "share_of_users", "jobs", "share_of_jobs"]
compare("environments", ["environment"], columns, rows)
of_jobs = dict(ask("SELECT package, count(*) FROM package_jobs GROUP BY ALL"))
libraries = ask("SELECT library, count(DISTINCT username) FROM (SELECT unnest(libraries) AS library, username FROM seen) GROUP BY ALL")
rows = [(name, own, share(own, users), of_jobs.get(name, 0), share(of_jobs.get(name, 0), count)) for name, own in libraries]
compare("libraries", ["library"], columns, rows)
direct = ask("SELECT package, count(DISTINCT username), count(DISTINCT CASE WHEN list_contains(direct, package) THEN username END) FROM package_users GROUP BY ALL")
direct_jobs = dict(ask("SELECT package, count(*) FILTER (WHERE list_contains(direct, package)) FROM package_jobs GROUP BY ALL"))
rows = [(name, own, themselves, themselves / own, of_jobs.get(name, 0), direct_jobs.get(name, 0)) for name, own, themselves in direct]
compare("direct", ["package"], ["users", "direct_users", "share_direct", "jobs", "direct_jobs"], rows)
endings = ask(f"SELECT '', exit, count(*), count(*) / {count}, count(DISTINCT username) FROM (SELECT unnest(exits) AS exit, username FROM jobs) GROUP BY ALL") if count else []
for package, exit, jobs_of, own_users in ask("SELECT package, exit, count(*), count(DISTINCT username) FROM (SELECT package, unnest(exits) AS exit, username FROM package_jobs) GROUP BY ALL"):
    endings.append((package, exit, jobs_of, jobs_of / of_jobs[package], own_users))
compare("endings", ["package", "exit"], ["jobs", "share", "users"], endings)
versions = "SELECT month, unnest(map_entries(versions)) AS pair, username FROM seen"
compare("versions", ["month", "package", "version"], ["users"], ask(f"SELECT month, pair.key, pair.value, count(DISTINCT username) FROM ({versions}) GROUP BY ALL"))

month_users = dict(ask("SELECT month, count(DISTINCT username) FROM seen GROUP BY ALL"))
month_jobs = dict(ask("SELECT part, count(*) FROM months_jobs WHERE len(packages) > 0 GROUP BY ALL"))
package_months = {(month, package): number for month, package, number in ask("SELECT part, package, count(*) FROM (SELECT part, unnest(packages) AS package FROM months_jobs) GROUP BY ALL")}
trends = [(month, "", own, 1.0, month_jobs.get(month, 0)) for month, own in month_users.items()]
for month, package, own in ask("SELECT month, package, count(DISTINCT username) FROM package_users GROUP BY ALL"):
    trends.append((month, package, own, own / month_users[month], package_months.get((month, package), 0)))
compare("trends", ["month", "package"], ["users", "share", "jobs"], trends)

sampled, unlisted = value("SELECT count(*) FROM sample"), []
for name, number, own in ask("SELECT name, count(*), count(DISTINCT username) FROM (SELECT unnest(packages) AS name, username FROM sample) GROUP BY ALL"):
    # Wilson's interval, as the roots of (p - q)^2 = z^2 q (1 - q) / n.
    z, p = 1.959963984540054, number / sampled
    a, b, c = 1 + z * z / sampled, -(2 * p + z * z / sampled), p * p
    root = math.sqrt(max(0.0, b * b - 4 * a * c))
    unlisted.append((name, number, p, (-b - root) / (2 * a), (-b + root) / (2 * a), own))
compare("unlisted", ["name"], ["sampled_jobs", "share", "share_low", "share_high", "users"], unlisted)

summary = {
    "users who ran Python": users,
    "users in Jupyter": value("SELECT count(DISTINCT username) FROM seen WHERE is_jupyter"),
    "users on compute nodes": value("SELECT count(DISTINCT username) FROM seen WHERE is_compute"),
    "jobs with a listed package": count,
    "jobs with Jupyter": value("SELECT count(*) FROM jobs WHERE is_jupyter"),
    "jobs with MKL, of those with numpy": value("SELECT count(*) FROM jobs WHERE list_has_all(packages, ['mkl', 'numpy'])"),
    "processes reported": value("SELECT count(*) FROM seen"),
    "processes they stand for": value("SELECT coalesce(sum(coalesce(weight, 1)), 0) FROM seen"),
}
for subsystem, own in ask("SELECT subsystem, count(DISTINCT username) FROM seen GROUP BY ALL"):
    summary[f"users on {subsystem}"] = own
with open(f"{report}/figures/summary.csv", newline="") as file:
    said = {row["what"]: row["value"] for row in csv.DictReader(file)}
for what, number in summary.items():
    assert float(said.get(what) or 0) == number, f"summary: {what} is {said.get(what)}, and {number} is expected"
compared["summary"] = len(summary)
print(json.dumps(compared))
