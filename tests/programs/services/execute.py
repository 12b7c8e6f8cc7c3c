"""papermill's own command, with the patience of the other programs here: a kernel that has not ended 2.5 s after it was
asked to gets SIGTERM (jupyter_client 8.10, manager.py, finish_shutdown), which it does now and then on a machine that is
busy (2 of 32 times without the library, four at once on two processors)."""
import sys
from jupyter_client import KernelManager
from papermill.__main__ import papermill

KernelManager.shutdown_wait_time.default_value = 120.0
sys.exit(papermill())
