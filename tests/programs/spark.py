# Packages by users and by jobs of some days with Spark: from the dataset, and from the tables, as one JSON object.
#
# python spark.py DATASET TABLES LEDGER FROM TO
import json
import os
import sys

os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
from pyspark.sql import SparkSession
from pyspark.sql import functions as f

dataset, tables, ledger, first, last = sys.argv[1:]
# Little is asked of it: what takes long is to begin.
settings = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
}
builder = SparkSession.builder.master("local[2]").appName("customs")
for key, value in settings.items():
    builder = builder.config(key, value)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("ERROR")


# Of rows with `names`; of a job several can be there.
def answer(users, jobs):
    users = users.select("username", f.explode("names").alias("name")).groupBy("name").agg(f.countDistinct("username"))
    taken = jobs.groupBy("system", "job_id").agg(f.bool_or("is_compute").alias("c"), f.bool_or("is_staff").alias("s")).where("c AND NOT s")
    jobs = jobs.select("system", "job_id", f.explode("names").alias("name")).distinct()
    jobs = jobs.join(taken, ["system", "job_id"]).groupBy("name").count()
    return {what: {name: count for name, count in frame.toLocalIterator()} for what, frame in [("users", users), ("jobs", jobs)]}


days = f.col("date").between(f.lit(first).cast("date"), f.lit(last).cast("date"))
canaries = [json.loads(line)["canary"] for line in open(ledger)]
rows = spark.read.parquet(dataset).where(days).where("rate IS NULL").withColumn("names", f.col("packages"))
rows = rows.where(f.col("canary").isNull() | ~f.col("canary").isin(canaries))
sets = spark.read.parquet(f"{tables}/sets").dropDuplicates(["id"])
read = lambda table: spark.read.parquet(f"{tables}/{table}").where(days).where("rate IS NULL").join(sets, f.col("packages") == f.col("id"))
print(json.dumps({"dataset": answer(rows, rows.where("job_id <> ''")), "tables": answer(read("users"), read("jobs"))}))
