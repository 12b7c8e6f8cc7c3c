-- What customs' report counts, as one would write it down: a query an answer. {dataset} is the folder of the dataset.

CREATE VIEW records AS
SELECT
    list, system, subsystem, username, job_id, is_staff, is_compute, num_nodes, exit, start, elapsed,
    direct, libraries, versions, strftime(date, '%Y-%m') AS month,
    CASE WHEN main LIKE '%/bin/conda' THEN list_filter(packages, lambda p: p <> 'multiprocessing') ELSE packages END AS packages,
    main LIKE '%ipykernel_launcher%' OR main LIKE '%/ipykernel/%' OR main LIKE '%/bin/jupyter%'
        OR main LIKE '%jupyterhub-singleuser%'
        OR list_has_any(packages, ['ipykernel', 'jupyterlab', 'notebook', 'jupyter_server', 'jupyterhub']) AS is_jupyter,
    CASE
        WHEN container <> '' THEN 'container'
        WHEN prefix LIKE '%/spack/%' OR prefix LIKE '%/.spack/%' OR prefix LIKE '%/.spack-env/%' THEN 'spack'
        WHEN prefix LIKE '%venv' OR prefix LIKE '%/venv/%' OR prefix LIKE '%/.venv/%' OR prefix LIKE '%/venvs/%'
            OR prefix LIKE '%/virtualenvs/%' OR prefix LIKE '%/.virtualenvs/%' OR prefix LIKE '%/env' THEN 'venv'
        WHEN prefix LIKE '/opt/%' OR prefix LIKE '/sw/%' OR prefix LIKE '/apps/%' OR prefix LIKE '/software/%'
            OR prefix LIKE '/cvmfs/%' OR prefix LIKE '/usr/common/%' OR prefix LIKE '/global/common/%'
            OR prefix LIKE '%/easybuild/%' OR prefix LIKE '%/modules/%' THEN 'module'
        WHEN prefix LIKE '%conda%' OR prefix LIKE '%mamba%' OR prefix LIKE '%miniforge%' OR prefix LIKE '%/envs/%' THEN 'conda'
        WHEN prefix IN ('/usr', '/usr/local') THEN 'system'
        ELSE 'other'
    END AS environment
FROM read_parquet('{dataset}/date=*/*.parquet', hive_partitioning = true);

CREATE VIEW listed AS SELECT * FROM records WHERE list = 'packages';

-- A job, whatever the number of its processes and days.
CREATE TEMP TABLE all_jobs AS
SELECT
    list, system, job_id, any_value(username) AS username, max(num_nodes) AS nodes,
    bool_or(is_staff) AS is_staff, bool_or(is_compute) AS is_compute, bool_or(is_jupyter) AS is_jupyter,
    list_distinct(flatten(list(packages))) AS packages, list_distinct(flatten(list(direct))) AS direct,
    list(DISTINCT exit) AS exits, list(DISTINCT environment) AS environments,
    (max(epoch_us(start) + (elapsed * 1e6)::BIGINT) - min(epoch_us(start))) / 3.6e9 * max(num_nodes) AS node_hours
FROM records WHERE job_id <> '' GROUP BY list, system, job_id;

CREATE TEMP TABLE jobs AS
SELECT * FROM all_jobs WHERE list = 'packages' AND is_compute AND NOT is_staff AND len(packages) > 0;

CREATE TEMP TABLE job_packages AS
SELECT system, job_id, username, nodes, exits, direct, node_hours, unnest(packages) AS package FROM jobs;

-- answer: users
SELECT count(DISTINCT username), count(DISTINCT username) FILTER (is_jupyter), count(DISTINCT username) FILTER (is_compute), count(*) FROM listed;
-- answer: subsystems
SELECT subsystem, count(DISTINCT username) FROM listed GROUP BY subsystem;
-- answer: top-users
SELECT package, count(DISTINCT username) FROM (SELECT unnest(packages) AS package, username FROM listed) GROUP BY package;
-- answer: top-jobs
SELECT package, count(*), count(DISTINCT username) FROM job_packages GROUP BY package;
-- answer: top-node-hours
SELECT package, sum(node_hours), count(DISTINCT username) FROM job_packages GROUP BY package;
-- answer: job-sizes
SELECT nodes, count(*), count(DISTINCT username) FROM jobs GROUP BY nodes;
-- answer: package-sizes
SELECT package, (2 ** floor(log2(nodes)))::BIGINT, count(*), count(DISTINCT username) FROM job_packages GROUP BY ALL;
-- answer: pairs
SELECT one.package, other.package, count(*)
FROM job_packages one JOIN job_packages other USING (system, job_id)
WHERE one.package <> other.package GROUP BY ALL;
-- answer: environments
SELECT environment, users, jobs
FROM (SELECT environment, count(DISTINCT username) AS users FROM listed GROUP BY environment)
LEFT JOIN (SELECT environment, count(*) AS jobs FROM (SELECT unnest(environments) AS environment FROM jobs) GROUP BY environment)
USING (environment);
-- answer: libraries
SELECT library, count(DISTINCT username) FROM (SELECT unnest(libraries) AS library, username FROM listed) GROUP BY library;
-- answer: direct
SELECT package, count(*) FROM (SELECT package FROM job_packages WHERE list_contains(direct, package)) GROUP BY package;
-- answer: direct-users
SELECT package, count(DISTINCT username) FROM (SELECT unnest(direct) AS package, username FROM listed) GROUP BY package;
-- answer: endings
SELECT package, exit, count(*), count(DISTINCT username)
FROM (SELECT package, username, unnest(exits) AS exit FROM job_packages
      UNION ALL SELECT '', username, unnest(exits) FROM jobs) GROUP BY ALL;
-- answer: versions
SELECT month, entry.key, entry.value, count(DISTINCT username)
FROM (SELECT month, username, unnest(map_entries(versions)) AS entry FROM listed) GROUP BY ALL;
-- answer: trends-users
SELECT month, package, count(DISTINCT username)
FROM (SELECT month, username, unnest(packages) AS package FROM listed
      UNION ALL SELECT month, username, '' FROM listed) GROUP BY ALL;
-- answer: trends-jobs
SELECT month, package, count(*)
FROM (SELECT DISTINCT month, system, job_id, unnest(packages) AS package
      FROM listed WHERE job_id <> '' AND is_compute AND NOT is_staff) GROUP BY ALL;
-- answer: unlisted
SELECT package, count(*), count(DISTINCT username)
FROM (SELECT unnest(packages) AS package, username FROM all_jobs WHERE list = 'everything' AND is_compute AND NOT is_staff)
GROUP BY package;
