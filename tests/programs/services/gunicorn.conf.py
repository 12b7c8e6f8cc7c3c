"""Says when a worker is ready, also to be ended."""
import os


def post_worker_init(worker):
    open("ready.%d" % os.getpid(), "w").close()
