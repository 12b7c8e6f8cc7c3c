"""A client of Jupyter's kernels: cells run, are interrupted and fail, and kernels are restarted and shut down."""
import os, sys
from jupyter_client import KernelManager


def connect():
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=120)
    return client


def run(code, interrupt=False):
    """Runs a cell, and shows what it printed and how it ended."""
    shown = {}

    def show(message):
        content = message["content"]
        if message["msg_type"] == "stream":
            # Once: a line may come in two messages, and a second interrupt that finds the cell at its end is answered by
            # a kernel that never says that the cell has ended.
            if interrupt and not shown:
                manager.interrupt_kernel()
            shown[content["name"]] = shown.get(content["name"], "") + content["text"]
        elif message["msg_type"] == "execute_result":
            shown["result"] = content["data"]["text/plain"]

    content = client.execute_interactive(code, output_hook=show, timeout=120)["content"]
    for name, text in shown.items():
        print(name, repr(text) if name != "result" else text)
    print("ended", content["status"], content.get("ename"), flush=True)


manager = KernelManager(shutdown_wait_time=120)  # as execute.py says
manager.start_kernel()
client = connect()
run("import wave; print(wave.__name__); 6 * 7")
run("import time; print('waits', flush=True); time.sleep(120)", interrupt=True)
run("1 / 0")
client.stop_channels()
manager.restart_kernel()
client = connect()
run("import colorsys, sys; print('wave' in sys.modules)")
client.stop_channels()
if sys.argv[1] == "leave":
    os._exit(3)
manager.shutdown_kernel(now=sys.argv[1] == "kill")
print("alive", manager.is_alive())
