# Opens pages in Chromium over its DevTools protocol and says, as one JSON object a page and setting, what is to be seen.
#
# python browse.py AXE.js SCREENSHOTS SETTING,... PAGE...: a page is NAME=PATH.
import base64
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time

import websocket

axe, screenshots, wanted = open(sys.argv[1]).read(), sys.argv[2], sys.argv[3].split(",")
pages = [page.split("=", 1) for page in sys.argv[4:]]

SETTINGS = [
    ("wide", 1280, "light", True),
    ("wide-dark", 1280, "dark", True),
    ("narrow", 360, "light", True),
    ("narrow-dark", 360, "dark", True),
    ("without-scripts", 1280, "light", False),
]

# What the page looks like: all that is measured is measured by the browser.
LOOK = """
(() => {
  const place = element => { const box = element.getBoundingClientRect(); return [box.width, box.height] };
  const within = (svg, text) => {
    const whole = svg.getBoundingClientRect(), box = text.getBoundingClientRect();
    return box.left >= whole.left - 1 && box.right <= whole.right + 1 && box.top >= whole.top - 1 && box.bottom <= whole.bottom + 1;
  };
  // Of labels, those that stand on each other. Slanted ones are left out: their boxes are larger than they are.
  const crossing = svg => {
    const labels = [...svg.querySelectorAll('text:not([transform])')].map(text => [text.textContent, text.getBoundingClientRect()]);
    const found = [];
    labels.forEach(([one, a], at) => labels.slice(at + 1).forEach(([other, b]) => {
      const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (width > 1 && height > 4) found.push(one + ' / ' + other);
    }));
    return found;
  };
  return {
    title: document.title,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    elements: [...new Set([...document.querySelectorAll('*')].map(element => element.localName))].sort(),
    sections: [...document.querySelectorAll('section')].map(section => {
      const svg = section.querySelector('svg');
      return {
        id: section.id,
        heading: section.querySelector('h2').textContent,
        rows: section.querySelectorAll('tbody tr').length,
        svg: svg && place(svg),
        marks: svg ? svg.querySelectorAll('rect, path, circle').length : 0,
        texts: svg ? [...svg.querySelectorAll('text')].map(text => text.textContent) : [],
        cut: svg ? [...svg.querySelectorAll('text')].filter(text => !within(svg, text)).map(text => text.textContent) : [],
        crossing: svg ? crossing(svg) : [],
      };
    }),
  };
})()
"""

# Sorting by the last column, twice, and a tooltip.
USE = """
(() => {
  const table = document.querySelector('section table');
  const heads = table.querySelectorAll('th');
  const button = heads[heads.length - 1].querySelector('button');
  const values = () => [...table.tBodies[0].rows].map(row => row.cells[heads.length - 1].dataset.value).filter(value => value !== '').map(Number);
  button.click();
  const down = values();
  button.click();
  const up = values();
  const mark = document.querySelector('svg title').parentNode;
  mark.dispatchEvent(new PointerEvent('pointerenter', { clientX: 10, clientY: 10 }));
  const tip = document.querySelector('.tip');
  const said = tip.hidden ? null : tip.textContent;
  mark.dispatchEvent(new PointerEvent('pointerleave'));
  return { down, up, said, expected: mark.querySelector('title').textContent };
})()
"""

CHECK = "axe.run(document, { resultTypes: ['violations'] }).then(found => found.violations.map(violation => ({ id: violation.id, impact: violation.impact, where: violation.nodes.slice(0, 5).map(node => node.html.slice(0, 200)) })))"


class Browser:
    def __init__(self, home):
        command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        command += ["--hide-scrollbars", "--remote-debugging-port=0", f"--user-data-dir={home}", "about:blank"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "HOME": home})
        note, start = os.path.join(home, "DevToolsActivePort"), time.monotonic()
        while not os.path.exists(note) or len(open(note).read().split("\n")) < 2:
            assert time.monotonic() - start < 60, "Chromium does not start"
            time.sleep(0.05)
        port, path = open(note).read().split("\n")[:2]
        self.socket = websocket.create_connection(f"ws://127.0.0.1:{port}{path}", suppress_origin=True, timeout=120)
        self.number, self.events, self.session = 0, [], None

    def ask(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == self.number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.events.append(answer)

    def wait(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(json.loads(self.socket.recv()))

    def run(self, script):
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    @contextlib.contextmanager
    def tab(self):
        self.session = None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.events = []
        for domain in ["Page", "Network", "Runtime", "Log", "DOM"]:
            self.ask(f"{domain}.enable")
        yield
        self.session = None
        self.ask("Target.closeTarget", targetId=target)

    def of(self, method):
        return [event["params"] for event in self.events if event.get("method") == method]


def look(browser, name, path, setting, width, scheme, has_scripts):
    browser.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    browser.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.ask("Emulation.setScriptExecutionDisabled", value=not has_scripts)
    browser.ask("Page.navigate", url=f"file://{os.path.abspath(path)}")
    browser.wait("Page.loadEventFired")
    if not has_scripts:
        # The page's own did not run; the look from outside may.
        document = browser.ask("DOM.getDocument", depth=0)["root"]["nodeId"]
        buttons = browser.ask("DOM.querySelectorAll", nodeId=document, selector="th button")["nodeIds"]
        assert not buttons, "scripts did run"
        browser.ask("Emulation.setScriptExecutionDisabled", value=False)
    found = {"page": name, "setting": setting, **browser.run(LOOK)}
    picture = browser.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
    with open(os.path.join(screenshots, f"{name}-{setting}.png"), "wb") as file:
        file.write(base64.b64decode(picture))
    if has_scripts and setting == "wide":
        found["use"] = browser.run(USE)
    browser.run(axe)
    found["violations"] = browser.run(CHECK)
    found["requests"] = [event["request"]["url"] for event in browser.of("Network.requestWillBeSent")]
    said = [entry["entry"]["text"] for entry in browser.of("Log.entryAdded")]
    said += [" ".join(str(argument.get("value")) for argument in call["args"]) for call in browser.of("Runtime.consoleAPICalled")]
    said += [thrown["exceptionDetails"]["text"] for thrown in browser.of("Runtime.exceptionThrown")]
    found["console"] = said
    return found


with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
    browser = Browser(home)
    try:
        answers = []
        for name, path in pages:
            for setting, width, scheme, has_scripts in [setting for setting in SETTINGS if setting[0] in wanted]:
                with browser.tab():
                    answers.append(look(browser, name, path, setting, width, scheme, has_scripts))
        print(json.dumps(answers))
    finally:
        browser.process.terminate()
        browser.process.wait()
