"""The same, as one would write it who knows what costs: the dataset is read twice and never again, texts stay categories,
sets are numbers from then on, and jobs are counted where they are equal: polars_expert.py DATASET OUT."""

import sys

import polars as pl
from environments import environment, is_kernel

dataset, out = sys.argv[1:]
c = pl.col
KERNELS = ["ipykernel", "jupyterlab", "notebook", "jupyter_server", "jupyterhub"]


def answer(name, rows):
    rows.write_csv(f"{out}/{name}.csv", include_header=False)


def collect(rows):
    return rows.collect(engine="streaming")


scan = pl.scan_parquet(f"{dataset}/date=*/*.parquet", hive_partitioning=True)


def sets(column, names):
    """The names of each set of a column, by the set's hash."""
    unique = collect(scan.select(c(column).hash().alias("id"), names).unique("id"))
    return unique.filter(c(column).list.len() > 0)


packages = sets("packages", c("packages"))
members = packages.explode("packages").rename({"packages": "package"}).cast({"package": pl.String})
kernels = set(members.filter(c("package").is_in(KERNELS))["id"])
direct, libraries = (
    sets(name, c(name)).explode(name).rename({name: "package"}).cast({"package": pl.String}) for name in ["direct", "libraries"]
)
versions = sets("versions", c("versions").map.entries()).explode("versions").unnest("versions")

# What is equal in a job but for its times.
times = c("start").dt.epoch("us")
keys = ["list", "system", "job_id", "username", "subsystem", "is_staff", "is_compute", "exit", "prefix", "container", "main"]
runs = collect(
    scan.select(
        *keys,
        c("date").dt.truncate("1mo").alias("month"),
        *[c(name).hash().alias(name) for name in ["packages", "direct", "libraries", "versions"]],
        c("num_nodes").alias("nodes"),
        times.alias("start"),
        (times + (c("elapsed") * 1e6).cast(pl.Int64)).alias("end"),
    )
    .group_by(*keys, "month", "packages", "direct", "libraries", "versions")
    .agg(c("nodes").max(), c("start").min(), c("end").max(), pl.len().alias("processes"))
)
places = runs.select("prefix", "container").unique()
text = places.with_columns(c("prefix", "container").cast(pl.String))
places = places.with_columns(environment=text.select(environment(c("container"), c("prefix"))).to_series())
mains = runs.select("main").unique()
text = mains.select(c("main").cast(pl.String))
mains = mains.with_columns(
    is_conda=text.select(c("main").str.ends_with("/bin/conda")).to_series(),
    is_kernel=text.select(is_kernel(c("main"))).to_series(),
)
runs = runs.join(places, on=["prefix", "container"]).join(mains, on="main")
runs = runs.with_columns(
    is_jupyter=c("is_kernel") | c("packages").is_in(list(kernels)), is_listed=c("list").cast(pl.String) == "packages"
)
listed = runs.filter("is_listed")
users = c("username").n_unique()
not_conda = ~(c("is_conda") & (c("package") == "multiprocessing"))


def named(rows, column, names):
    """Rows, for each member of their set in that column."""
    return rows.join(names, left_on=column, right_on="id")


everybody = listed.select("month", "username").unique()
loaded = named(listed.select("month", "username", "packages", "is_conda").unique(), "packages", members).filter(not_conda)
loaded = loaded.select("month", "username", "package").unique()
answer(
    "users",
    listed.select(
        users,
        c("username").filter(c("is_jupyter")).n_unique().alias("jupyter"),
        c("username").filter(c("is_compute")).n_unique().alias("compute"),
        c("processes").sum(),
    ),
)
answer("subsystems", listed.group_by("subsystem").agg(users))
answer("top-users", loaded.group_by("package").agg(users))

# Jobs, and those of them that are equal.
sorted_unique = lambda name: c(name).unique().sort()
all_jobs = (
    runs.lazy()
    .filter(c("job_id").cast(pl.String) != "")
    .with_columns(c("exit", "environment").cast(pl.String))
    .group_by("is_listed", "system", "job_id")
    .agg(
        c("username").first(),
        c("nodes").max(),
        c("is_staff").any(),
        c("is_compute").any(),
        c("is_conda").any(),
        sorted_unique("packages"),
        sorted_unique("direct"),
        sorted_unique("exit").alias("exits"),
        sorted_unique("environment").alias("environments"),
        (c("end").max() - c("start").min()).alias("time"),
    )
    .filter(c("is_compute") & ~c("is_staff"))
    .with_columns(node_hours=c("time") / 3.6e9 * c("nodes"))
)
kinds = ["is_listed", "username", "nodes", "is_conda", "packages", "direct", "exits", "environments"]
groups = collect(all_jobs.group_by(kinds).agg(pl.len().alias("jobs"), c("node_hours").sum()))
if groups["is_conda"].any():
    raise SystemExit("the tool conda is among the jobs: this form of the query does not know it")
unions = groups.select("packages").unique().with_columns(one=c("packages")).explode("one")
unions = named(unions, "one", members).group_by("packages").agg(c("package").unique().sort().alias("names"))
direct_unions = groups.select("direct").unique().with_columns(one=c("direct")).explode("one")
direct_unions = named(direct_unions, "one", direct).select("direct", "package").unique()
groups = groups.join(unions, on="packages").drop("packages")
jobs = groups.filter("is_listed")
job_packages = jobs.explode("names").rename({"names": "package"})
sum_jobs = c("jobs").sum()

answer("top-jobs", job_packages.group_by("package").agg(sum_jobs, users))
answer("top-node-hours", job_packages.group_by("package").agg(c("node_hours").sum(), users))
answer("job-sizes", jobs.group_by("nodes").agg(sum_jobs, users))
size = (2 ** c("nodes").log(2).floor()).cast(pl.Int64).alias("size")
answer("package-sizes", job_packages.group_by("package", size).agg(sum_jobs, users))
equal = jobs.group_by("names").agg(sum_jobs)
pairs = equal.with_columns(other=c("names")).explode("names").explode("other").filter(c("names") != c("other"))
answer("pairs", pairs.group_by("names", "other").agg(sum_jobs))
by_environment = jobs.select("environments", "jobs").explode("environments").group_by("environments").agg(sum_jobs)
in_environment = listed.group_by("environment").agg(users)
answer("environments", in_environment.join(by_environment, left_on="environment", right_on="environments", how="left"))
of_user = lambda column, names: named(listed.select("username", column).unique(), column, names).group_by("package").agg(users)
answer("libraries", of_user("libraries", libraries))
answer("direct", job_packages.join(direct_unions, on=["direct", "package"]).group_by("package").agg(sum_jobs))
answer("direct-users", of_user("direct", direct))
endings = pl.concat(
    [
        job_packages.select("package", "username", "jobs", "exits"),
        jobs.select(pl.lit("").alias("package"), "username", "jobs", "exits"),
    ]
).explode("exits")
answer("endings", endings.group_by("package", "exits").agg(sum_jobs, users))
month = c("month").dt.strftime("%Y-%m")
of_versions = named(listed.select("month", "username", "versions").unique(), "versions", versions)
answer("versions", of_versions.group_by(month, "key", "value").agg(users))
everybody = everybody.with_columns(package=pl.lit(""))
answer("trends-users", pl.concat([loaded, everybody], how="diagonal").group_by(month, "package").agg(users))
in_month = listed.filter((c("job_id").cast(pl.String) != "") & c("is_compute") & ~c("is_staff"))
in_month = in_month.lazy().group_by("month", "system", "job_id").agg(sorted_unique("packages"))
in_month = collect(in_month.group_by("month", "packages").agg(pl.len().alias("jobs")))
of_month = in_month.select("packages").unique().with_columns(one=c("packages")).explode("one")
of_month = named(of_month, "one", members).select("packages", "package").unique()
answer("trends-jobs", in_month.join(of_month, on="packages").group_by(month, "package").agg(sum_jobs))
sampled = groups.filter(~c("is_listed")).explode("names").group_by("names").agg(sum_jobs, users)
answer("unlisted", sampled)
