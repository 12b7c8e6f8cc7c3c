"""Where a Python comes from and what a Jupyter kernel is, by paths: the rules of docs/TABLES.md for Polars."""

import functools
import operator

import polars as pl

RULES = [
    ("spack", r"/spack/|/\.spack/|/\.spack-env/"),
    ("venv", r"venv$|/\.?venv/|/venvs/|/\.?virtualenvs/|/env$"),
    ("module", r"^/opt/|^/sw/|^/apps/|^/software/|^/cvmfs/|^/usr/common/|^/global/common/|/easybuild/|/modules/"),
    ("conda", r"conda|mamba|miniforge|/envs/"),
    ("system", r"^/usr$|^/usr/local$"),
]
KERNELS = ["ipykernel_launcher", "/ipykernel/", "/bin/jupyter", "jupyterhub-singleuser"]


def environment(container, prefix):
    rules = pl.when(container != "").then(pl.lit("container"))
    for name, pattern in RULES:
        rules = rules.when(prefix.str.contains(pattern)).then(pl.lit(name))
    return rules.otherwise(pl.lit("other"))


def is_kernel(main):
    return functools.reduce(operator.or_, (main.str.contains(sign, literal=True) for sign in KERNELS))
