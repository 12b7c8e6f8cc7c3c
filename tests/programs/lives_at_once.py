"""Six threads with a sub-interpreter each, which start and end together. One has many modules, which takes a while."""

import threading
import time

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

MODULES = ["json", "csv", "wave", "colorsys", "calendar", "fractions"]
MANY = "; import sys; sys.modules.update(('module%d' % number, json) for number in range(50000))"
together = threading.Barrier(len(MODULES))
run = getattr(interpreters, "exec", None) or interpreters.run_string


def live(module):
    has_many = module == MODULES[0]
    interpreter = interpreters.create()
    together.wait()
    run(interpreter, "import " + module + MANY * has_many)
    together.wait()
    if not has_many:
        time.sleep(0.001)
    interpreters.destroy(interpreter)


threads = [threading.Thread(target=live, args=(module,)) for module in MODULES]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
