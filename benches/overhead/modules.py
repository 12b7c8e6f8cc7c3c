"""Imports 100 packages of 30 modules and prints how many microseconds the atexit callbacks took."""

import atexit
import importlib
import os
import sys
import time

folder = sys.argv[1]
if not os.path.isdir(folder):
    for package in range(100):
        path = os.path.join(folder, "package_%d" % package)
        os.makedirs(path)
        for module in ["__init__"] + ["module_%d" % number for number in range(29)]:
            with open(os.path.join(path, module + ".py"), "w") as file:
                file.write("__version__ = '1.0'\n")
sys.path.insert(0, folder)
for package in range(100):
    importlib.import_module("package_%d" % package)
    for number in range(29):
        importlib.import_module("package_%d.module_%d" % (package, number))
assert len(sys.modules) > 3000
before = time.perf_counter()
atexit._run_exitfuncs()
print((time.perf_counter() - before) * 1e6)
