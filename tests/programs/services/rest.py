"""A client of a Jupyter server: starts it and, over REST, two kernels, of which one is shut down, and stops the server."""
import asyncio, http.client, json, os, signal, socket, subprocess, sys, time
from tornado import httpclient, netutil, websocket

TOKEN = "a-token-of-this-test"
HEADERS = {"Authorization": f"token {TOKEN}"}
SOCKET = os.path.abspath("server.sock")


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(120)
        self.sock.connect(SOCKET)


def ask(method, path, body=None):
    """Status and answer of a request."""
    connection = Connection("localhost")
    connection.request(method, path, body and json.dumps(body), HEADERS)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text else None


class Resolver(netutil.Resolver):
    async def resolve(self, host, port, family=socket.AF_UNSPEC):
        return [(socket.AF_UNIX, SOCKET)]


async def run(kernel, code):
    """Runs a cell over the kernel's channels, and shows what it printed and how it ended."""
    request = httpclient.HTTPRequest(f"ws://localhost/api/kernels/{kernel}/channels", headers=HEADERS)
    channels = await websocket.websocket_connect(request, resolver=Resolver())
    header = {"msg_id": "1", "msg_type": "execute_request", "username": "", "session": "s", "version": "5.3", "date": ""}
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    await channels.write_message(json.dumps({**message, "buffers": []}))
    ended, is_idle = None, False
    # The reply and what was printed come by different channels.
    while not ended or not is_idle:
        answer = json.loads(await asyncio.wait_for(channels.read_message(), 120))
        content = answer["content"]
        if answer["parent_header"].get("msg_id") != "1":
            continue
        if answer["msg_type"] == "stream":
            print(content["name"], repr(content["text"]))
        if answer["msg_type"] == "execute_reply":
            ended = content["status"]
        is_idle |= answer["msg_type"] == "status" and content["execution_state"] == "idle"
    print("ended", ended, flush=True)
    channels.close()


options = ["--no-browser", "--allow-root", f"--ServerApp.sock={SOCKET}", "--ServerApp.log_level=ERROR"]
options += [f"--IdentityProvider.token={TOKEN}", "--KernelManager.shutdown_wait_time=60"]
server = subprocess.Popen([sys.executable, "-m", "jupyter_server", *options], stderr=open("server.log", "w"))
deadline = time.monotonic() + 120
while True:
    try:
        print("server", ask("GET", "/api/status")[0])
        break
    except OSError:
        assert time.monotonic() < deadline and server.poll() is None, open("server.log").read()
        time.sleep(0.1)
kernels = []
for code in ["import wave; print(wave.__name__)", "import colorsys; print(colorsys.__name__)"]:
    status, kernel = ask("POST", "/api/kernels", {"name": "python3"})
    print("kernel", status, flush=True)
    kernels.append(kernel["id"])
    asyncio.run(run(kernel["id"], code))
print("delete", *ask("DELETE", f"/api/kernels/{kernels[0]}"))
print("left", [kernel["id"] for kernel in ask("GET", "/api/kernels")[1]] == kernels[1:])
server.send_signal(signal.SIGTERM)
print("server", server.wait(120))
