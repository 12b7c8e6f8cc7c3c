"""Processes that come of a process, one way a word: `processes.py fork`."""

import multiprocessing
import os
import subprocess
import sys
import time


def square(number):
    return number * number


def import_more(_):
    import sqlite3

    return sqlite3.sqlite_version


def start(method, work):
    context = multiprocessing.get_context(method)
    processes = [context.Process(target=work, args=(number,)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def fork():
    """Three children that end as they like."""
    for end in (sys.exit, os._exit, exec):
        if os.fork() == 0:
            end(0 if end is not exec else "pass")
            raise SystemExit
        os.wait()


def fork_more():
    """A child that imports what its parent has not."""
    if os.fork() == 0:
        import_more(0)
        raise SystemExit
    os.wait()


def pool():
    """Workers of the default kind: forked, from 3.14 on by a fork server."""
    with multiprocessing.Pool(2) as workers:
        assert workers.map(square, range(4)) == [0, 1, 4, 9]


def terminated():
    """A worker that is killed."""
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    process.start()
    time.sleep(0.2)
    process.terminate()
    process.join()


def daemon():
    """A double-forked daemon with a worker of its own; it lives on when the rest is gone."""
    ancestor = "/proc/%d" % os.getpid()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while os.path.exists(ancestor):
                time.sleep(0.05)
            if os.fork() == 0:
                raise SystemExit
            os.wait()
            with open("daemon.new", "w") as file:
                file.write(str(os.getpid()))
            os.rename("daemon.new", "daemon")
            raise SystemExit
        os._exit(0)
    os.wait()


def others():
    """Other programs."""
    subprocess.run(["true"], check=True)
    subprocess.run(["true"], check=True, preexec_fn=os.getpid)
    subprocess.Popen(["true"], close_fds=False).wait()
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}) if hasattr(os, "posix_spawn") else os.spawnv(os.P_NOWAIT, "/bin/true", ["true"]), 0)
    try:
        subprocess.run(["/no/such"])
    except OSError:
        pass


if __name__ == "__main__":
    word, _, method = sys.argv[1].partition("-")
    if word == "start":
        start(method, square)
    elif word == "more":
        start(method, import_more)
    else:
        globals()[sys.argv[1].replace("-", "_")]()
