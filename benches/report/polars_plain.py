"""What customs' report counts, with Polars, as one would write it down: polars_plain.py DATASET OUT."""

import sys

import polars as pl
from environments import environment, is_kernel

dataset, out = sys.argv[1:]
c = pl.col
KERNELS = ["ipykernel", "jupyterlab", "notebook", "jupyter_server", "jupyterhub"]


def answer(name, rows):
    rows.collect(engine="streaming").write_csv(f"{out}/{name}.csv", include_header=False)


text = ["list", "system", "subsystem", "username", "job_id", "exit", "prefix", "container", "main"]
records = pl.scan_parquet(f"{dataset}/date=*/*.parquet", hive_partitioning=True).with_columns(c(text).cast(pl.String))
records = records.with_columns(
    *[c(name).cast(pl.List(pl.String)) for name in ["packages", "direct", "libraries"]],
    month=c("date").cast(pl.String).str.slice(0, 7),
    environment=environment(c("container"), c("prefix")),
)
records = records.with_columns(
    packages=pl.when(c("main").str.ends_with("/bin/conda"))
    .then(c("packages").list.set_difference(["multiprocessing"]))
    .otherwise(c("packages")),
    is_jupyter=is_kernel(c("main")) | (c("packages").list.set_intersection(KERNELS).list.len() > 0),
)
listed = records.filter(c("list") == "packages")
users = c("username").n_unique()

times = c("start").dt.epoch("us")
all_jobs = (
    records.filter(c("job_id") != "")
    .group_by("list", "system", "job_id")
    .agg(
        c("username").first(),
        c("num_nodes").max().alias("nodes"),
        c("is_staff").any(),
        c("is_compute").any(),
        c("packages").explode(empty_as_null=False).unique(),
        c("direct").explode(empty_as_null=False).unique(),
        c("exit").unique().alias("exits"),
        c("environment").unique().alias("environments"),
        ((times + (c("elapsed") * 1e6).cast(pl.Int64)).max() - times.min()).alias("time"),
    )
    .filter(c("is_compute") & ~c("is_staff"))
    .with_columns(node_hours=c("time") / 3.6e9 * c("nodes"))
    .collect(engine="streaming")
    .lazy()
)
jobs = all_jobs.filter((c("list") == "packages") & (c("packages").list.len() > 0))
job_packages = (
    jobs.select("system", "job_id", "username", "nodes", "exits", "direct", "node_hours", "packages")
    .explode("packages")
    .rename({"packages": "package"})
    .collect(engine="streaming")
    .lazy()
)

answer(
    "users",
    listed.select(
        users,
        c("username").filter(c("is_jupyter")).n_unique().alias("jupyter"),
        c("username").filter(c("is_compute")).n_unique().alias("compute"),
        pl.len(),
    ),
)
answer("subsystems", listed.group_by("subsystem").agg(users))
loaded = listed.select("month", "username", c("packages").alias("package")).explode("package").drop_nulls()
answer("top-users", loaded.group_by("package").agg(users))
answer("top-jobs", job_packages.group_by("package").agg(pl.len(), users))
answer("top-node-hours", job_packages.group_by("package").agg(c("node_hours").sum(), users))
answer("job-sizes", jobs.group_by("nodes").agg(pl.len(), users))
size = (2 ** c("nodes").log(2).floor()).cast(pl.Int64).alias("size")
answer("package-sizes", job_packages.group_by("package", size).agg(pl.len(), users))
names = job_packages.select("system", "job_id", "package")
pairs = names.join(names, on=["system", "job_id"], suffix="_other").filter(c("package") != c("package_other"))
answer("pairs", pairs.group_by("package", "package_other").agg(pl.len()))
by_environment = jobs.select(c("environments").alias("environment")).explode("environment").group_by("environment").agg(pl.len())
answer("environments", listed.group_by("environment").agg(users).join(by_environment, on="environment", how="left"))
exploded = lambda column: listed.select("username", column).explode(column).drop_nulls()
answer("libraries", exploded("libraries").group_by("libraries").agg(users))
answer("direct", job_packages.filter(c("direct").list.contains(c("package"))).group_by("package").agg(pl.len()))
answer("direct-users", exploded("direct").group_by("direct").agg(users))
endings = pl.concat(
    [
        job_packages.select("package", "username", "exits"),
        jobs.select(pl.lit("").alias("package"), "username", "exits"),
    ]
).explode("exits")
answer("endings", endings.group_by("package", "exits").agg(pl.len(), users))
versions = listed.select("month", "username", c("versions").map.entries()).explode("versions").drop_nulls("versions")
versions = versions.unnest("versions")
versions = versions.with_columns(c("key", "value").cast(pl.String))
answer("versions", versions.group_by("month", "key", "value").agg(users))
everybody = listed.select("month", "username", pl.lit("").alias("package"))
answer("trends-users", pl.concat([loaded, everybody], how="diagonal").group_by("month", "package").agg(users))
in_month = listed.filter((c("job_id") != "") & c("is_compute") & ~c("is_staff"))
in_month = in_month.select("month", "system", "job_id", c("packages").alias("package")).explode("package").drop_nulls()
answer("trends-jobs", in_month.unique().group_by("month", "package").agg(pl.len()))
sampled = all_jobs.filter(c("list") == "everything").select("username", "packages").explode("packages").drop_nulls()
answer("unlisted", sampled.group_by("packages").agg(pl.len(), users))
