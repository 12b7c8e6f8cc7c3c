"""The baseline: a sitecustomize that does what the ancestor does (SciPy 2021, "Monitoring Scientific Python Usage on
a Supercomputer"): an atexit handler that compares sys.modules with a list and sends a JSON message to syslog."""

import atexit
import json
import logging
import logging.handlers
import os
import re
import socket
import sys

PACKAGES = ["numpy", "scipy", "pandas", "matplotlib", "astropy", "mpi4py", "dask", "multiprocessing", "joblib", "sklearn"]


def report():
    found = [name for name in PACKAGES if re.search(name, " ".join(sys.modules))]
    fields = {
        "executable": sys.executable,
        "is_compute": "SLURM_JOB_ID" in os.environ,
        "job_id": os.environ.get("SLURM_JOB_ID", ""),
        "num_nodes": os.environ.get("SLURM_JOB_NUM_NODES", "1"),
        "packages": found,
        "host": socket.gethostname(),
        "username": os.environ.get("USER", ""),
    }
    address = ("127.0.0.1", int(os.environ["BASELINE_PORT"]))
    logger = logging.getLogger("customs")
    logger.addHandler(logging.handlers.SysLogHandler(address))
    logger.warning(json.dumps(fields))


atexit.register(report)
