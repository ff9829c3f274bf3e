"""A real browser without a window, spoken to by Chrome's own protocol (no driver is needed)."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
INSTALL = "no browser here; on Debian: apt-get install chromium, on Ubuntu: snap install chromium"


def program() -> str | None:
    """The browser of this machine, if there is one."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Tab:
    """The one tab of the browser."""

    def __init__(self, line: ClientConnection) -> None:
        self._line, self._number = line, 0
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command and its answer; what the browser complains of meanwhile is kept."""
        self._number += 1
        self._line.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            told = json.loads(self._line.recv(timeout=30))
            if told.get("id") == self._number:
                assert "error" not in told, told
                return dict(told["result"])
            if told.get("method") == "Log.entryAdded":
                self.complaints.append(told["params"]["entry"]["text"])

    def width(self, pixels: int) -> None:
        """Be as wide as this, as a phone where it is narrow."""
        size = {"width": pixels, "height": 800, "deviceScaleFactor": 1, "mobile": pixels < 600}
        self.ask("Emulation.setDeviceMetricsOverride", **size)

    def go(self, address: str) -> None:
        """Open a page and wait until it is there."""
        self.ask("Page.navigate", url=address)
        self.wait_for(f"location.href === {json.dumps(address)} && document.readyState === 'complete'")

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript comes to in the page."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until it is true."""
        deadline = time.monotonic() + 30
        while self.value(expression) is not True:
            assert time.monotonic() < deadline, expression
            time.sleep(0.05)

    def press(self, key: str, code: int, text: str = "") -> None:
        """One key, down and up."""
        about = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.ask("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **about)

    def picture(self, file: Path) -> None:
        """What is to be seen, as PNG."""
        file.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot")["data"]))


def faults(tab: Tab) -> list[Any]:
    """What axe-core finds wrong with the page for people who do not see, or not well: rule and elements."""
    tab.ask("Runtime.evaluate", expression=(files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8"))
    told = "axe.run().then(found => JSON.stringify(found.violations.map(one => [one.id, one.nodes.map(n => n.html)])))"
    answer = tab.ask("Runtime.evaluate", expression=told, awaitPromise=True, returnByValue=True)
    return list(json.loads(answer["result"]["value"]))


@contextmanager
def browser(folder: Path) -> Iterator[Tab]:
    """A browser with an empty profile below `folder`, which is gone afterwards."""
    name, profile = program(), folder / "profile"
    assert name is not None, INSTALL
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
    process = subprocess.Popen(
        [name, *flags, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        told, deadline = profile / "DevToolsActivePort", time.monotonic() + 60
        while not (told.exists() and "\n" in told.read_text()):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        port, path = told.read_text().split("\n")[:2]
        with connect(f"ws://127.0.0.1:{port}{path}", proxy=None, max_size=None) as whole:
            targets = _one(whole, "Target.getTargets")["targetInfos"]
            page = next(target["targetId"] for target in targets if target["type"] == "page")
        with connect(f"ws://127.0.0.1:{port}/devtools/page/{page}", proxy=None, max_size=None) as line:
            yield Tab(line)
    finally:
        process.terminate()
        process.wait()


def _one(line: ClientConnection, method: str) -> dict[str, Any]:
    line.send(json.dumps({"id": 1, "method": method}))
    while (told := json.loads(line.recv(timeout=30))).get("id") != 1:
        pass
    return dict(told["result"])
