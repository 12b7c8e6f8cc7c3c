"""A client of a Jupyter kernel whose cells bind what they import, and unbind some of it."""
from jupyter_client import KernelManager

manager = KernelManager(shutdown_wait_time=120)  # as execute.py says
manager.start_kernel()
client = manager.client()
client.start_channels()
client.wait_for_ready(timeout=120)
for code in [
    "import wave as w",
    "from colorsys import rgb_to_hsv",
    "__import__('papermill')\nNone",
    "del w",
    "import zipapp",
]:
    print(client.execute_interactive(code, timeout=120)["content"]["status"], flush=True)
client.stop_channels()
manager.shutdown_kernel()
print("alive", manager.is_alive())
