"""Six threads with a sub-interpreter each, which start and end together."""

import threading

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

MODULES = ["json", "csv", "wave", "colorsys", "calendar", "fractions"]
together = threading.Barrier(len(MODULES))


def live(module):
    interpreter = interpreters.create()
    together.wait()
    run = getattr(interpreters, "exec", None) or interpreters.run_string
    run(interpreter, "import " + module)
    together.wait()
    interpreters.destroy(interpreter)


threads = [threading.Thread(target=live, args=(module,)) for module in MODULES]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
