-- The same, as one would write it who knows what costs: the dataset is read twice and never again, sets are numbers from
-- then on, and jobs are counted where they are equal. {dataset} is the folder of the dataset.

CREATE VIEW scan AS
SELECT * FROM read_parquet('{dataset}/date=*/*.parquet', hive_partitioning = true);

-- Sets of names by their hash.
CREATE TEMP TABLE sets AS
SELECT id, any_value(names) AS names FROM (
    SELECT hash(packages) AS id, packages AS names FROM scan
    UNION ALL SELECT hash(direct), direct FROM scan WHERE len(direct) > 0
    UNION ALL SELECT hash(libraries), libraries FROM scan WHERE len(libraries) > 0
) GROUP BY id;
CREATE TEMP TABLE version_sets AS
SELECT hash(versions) AS id, any_value(versions) AS pairs FROM scan WHERE cardinality(versions) > 0 GROUP BY 1;
CREATE TEMP TABLE members AS SELECT id, unnest(names) AS name FROM sets;

-- What is equal in a job but for its times.
CREATE TEMP TABLE runs AS
SELECT
    list = 'packages' AS is_listed, system, job_id, username, subsystem, is_staff, is_compute, exit,
    prefix, container, main, date_trunc('month', date) AS month,
    hash(packages) AS packages, hash(direct) AS direct, hash(libraries) AS libraries, hash(versions) AS versions,
    max(num_nodes) AS nodes, min(epoch_us(start)) AS start, max(epoch_us(start) + (elapsed * 1e6)::BIGINT) AS finish,
    count(*) AS processes
FROM scan GROUP BY ALL;

CREATE TEMP TABLE prefixes AS
SELECT prefix, container,
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
FROM (SELECT DISTINCT prefix, container FROM runs);
CREATE TEMP TABLE mains AS
SELECT main, main LIKE '%/bin/conda' AS is_conda,
    main LIKE '%ipykernel_launcher%' OR main LIKE '%/ipykernel/%' OR main LIKE '%/bin/jupyter%'
        OR main LIKE '%jupyterhub-singleuser%' AS is_kernel
FROM (SELECT DISTINCT main FROM runs);
CREATE TEMP TABLE kernels AS
SELECT id FROM sets WHERE list_has_any(names, ['ipykernel', 'jupyterlab', 'notebook', 'jupyter_server', 'jupyterhub']);

-- Users in their settings.
CREATE TEMP TABLE settings AS
SELECT month, username, subsystem, is_compute, environment, is_kernel OR kernels.id IS NOT NULL AS is_jupyter, is_conda,
    packages, direct, libraries, versions, sum(processes) AS processes
FROM runs JOIN prefixes USING (prefix, container) JOIN mains USING (main) LEFT JOIN kernels ON packages = kernels.id
WHERE is_listed GROUP BY ALL;
CREATE TEMP TABLE user_packages AS
SELECT DISTINCT month, username, name AS package FROM (SELECT DISTINCT month, username, packages, is_conda FROM settings) used
JOIN members ON id = packages WHERE NOT (is_conda AND name = 'multiprocessing');

-- Jobs, and those of them that are equal.
CREATE TEMP TABLE all_jobs AS
SELECT is_listed, system, job_id, any_value(username) AS username, max(nodes) AS nodes,
    bool_or(is_staff) AS is_staff, bool_or(is_compute) AS is_compute,
    list_sort(list(DISTINCT (packages, is_conda))) AS packages, list_sort(list(DISTINCT direct)) AS direct,
    list_sort(list(DISTINCT exit)) AS exits, list_sort(list(DISTINCT environment)) AS environments,
    (max(finish) - min(start)) / 3.6e9 * max(nodes) AS node_hours
FROM runs JOIN prefixes USING (prefix, container) JOIN mains USING (main)
WHERE job_id <> '' GROUP BY is_listed, system, job_id;
CREATE TEMP TABLE groups AS
SELECT row_number() OVER () AS number, * FROM (
    SELECT is_listed, username, nodes, packages, direct, exits, environments, count(*) AS jobs, sum(node_hours) AS node_hours
    FROM all_jobs WHERE is_compute AND NOT is_staff GROUP BY ALL);
-- Their sets of sets become sets.
CREATE TEMP TABLE unions AS
SELECT packages, list_sort(list(DISTINCT name)) AS names FROM (
    SELECT packages, name FROM (SELECT packages, unnest(packages) AS one FROM (SELECT DISTINCT packages FROM groups))
    JOIN members ON id = one[1] WHERE NOT (one[2] AND name = 'multiprocessing')
) GROUP BY packages;
CREATE TEMP TABLE direct_unions AS
SELECT DISTINCT direct, name AS package FROM (SELECT direct, unnest(direct) AS one FROM (SELECT DISTINCT direct FROM groups))
JOIN members ON id = one;
CREATE TEMP TABLE jobs AS
SELECT groups.* EXCLUDE (packages), names FROM groups JOIN unions USING (packages) WHERE is_listed;
CREATE TEMP TABLE job_packages AS SELECT * EXCLUDE (names), unnest(names) AS package FROM jobs;

-- answer: users
SELECT count(DISTINCT username), count(DISTINCT username) FILTER (is_jupyter), count(DISTINCT username) FILTER (is_compute), sum(processes)::BIGINT FROM settings;
-- answer: subsystems
SELECT subsystem, count(DISTINCT username) FROM settings GROUP BY subsystem;
-- answer: top-users
SELECT package, count(DISTINCT username) FROM user_packages GROUP BY package;
-- answer: top-jobs
SELECT package, sum(jobs)::BIGINT, count(DISTINCT username) FROM job_packages GROUP BY package;
-- answer: top-node-hours
SELECT package, sum(node_hours), count(DISTINCT username) FROM job_packages GROUP BY package;
-- answer: job-sizes
SELECT nodes, sum(jobs)::BIGINT, count(DISTINCT username) FROM jobs GROUP BY nodes;
-- answer: package-sizes
SELECT package, (2 ** floor(log2(nodes)))::BIGINT, sum(jobs)::BIGINT, count(DISTINCT username) FROM job_packages GROUP BY ALL;
-- answer: pairs
WITH equal AS (SELECT names, sum(jobs)::BIGINT AS jobs FROM jobs GROUP BY names),
    first AS (SELECT names, jobs, unnest(names) AS one FROM equal)
SELECT one, other, sum(jobs)::BIGINT FROM (SELECT one, jobs, unnest(names) AS other FROM first) WHERE one <> other GROUP BY ALL;
-- answer: environments
SELECT environment, users, jobs
FROM (SELECT environment, count(DISTINCT username) AS users FROM settings GROUP BY environment)
LEFT JOIN (SELECT environment, sum(jobs)::BIGINT AS jobs FROM (SELECT unnest(environments) AS environment, jobs FROM jobs) GROUP BY environment)
USING (environment);
-- answer: libraries
SELECT name, count(DISTINCT username) FROM (SELECT DISTINCT username, libraries FROM settings) JOIN members ON id = libraries GROUP BY name;
-- answer: direct
SELECT package, sum(jobs)::BIGINT FROM job_packages JOIN direct_unions USING (direct, package) GROUP BY package;
-- answer: direct-users
SELECT name, count(DISTINCT username) FROM (SELECT DISTINCT username, direct FROM settings) JOIN members ON id = direct GROUP BY name;
-- answer: endings
SELECT package, exit, sum(jobs)::BIGINT, count(DISTINCT username)
FROM (SELECT package, username, jobs, unnest(exits) AS exit FROM job_packages
      UNION ALL SELECT '', username, jobs, unnest(exits) FROM jobs) GROUP BY ALL;
-- answer: versions
SELECT strftime(month, '%Y-%m'), entry.key, entry.value, count(DISTINCT username)
FROM (SELECT month, username, unnest(map_entries(pairs)) AS entry
      FROM (SELECT DISTINCT month, username, versions FROM settings) JOIN version_sets ON id = versions) GROUP BY ALL;
-- answer: trends-users
SELECT strftime(month, '%Y-%m'), package, count(DISTINCT username)
FROM (FROM user_packages UNION ALL SELECT DISTINCT month, username, '' FROM settings) GROUP BY ALL;
-- answer: trends-jobs
SELECT strftime(month, '%Y-%m'), name, count(*)
FROM (SELECT DISTINCT month, system, job_id, name
      FROM (SELECT DISTINCT month, system, job_id, packages, is_conda FROM runs JOIN mains USING (main)
            WHERE is_listed AND job_id <> '' AND is_compute AND NOT is_staff)
      JOIN members ON id = packages WHERE NOT (is_conda AND name = 'multiprocessing')) GROUP BY ALL;
-- answer: unlisted
SELECT package, sum(jobs)::BIGINT, count(DISTINCT username)
FROM (SELECT unnest(names) AS package, jobs, username FROM groups JOIN unions USING (packages) WHERE NOT is_listed) GROUP BY package;
