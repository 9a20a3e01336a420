"""Chromium as a person would use it, over its own debugging protocol on the loopback address."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WITHIN_SECONDS = 120


class Page:
    """One page: what is on it, and the keys and clicks of whoever looks at it."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._number = socket, 0

    def command(self, method: str, **parameters: object) -> dict:
        """Sends one command of the protocol and waits for its answer; events are passed over."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=WITHIN_SECONDS))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def evaluate(self, expression: str) -> object:
        """The value of an expression in the page."""
        found = self.command("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Waits until an expression is true in the page."""
        deadline = time.monotonic() + WITHIN_SECONDS
        while not self.evaluate(f"!!({expression})"):
            assert time.monotonic() < deadline, f"{expression}\n{self.text()}"
            time.sleep(0.25)

    def text(self) -> object:
        """What a person reads."""
        return self.evaluate("document.body.innerText")

    def open(self, address: str) -> None:
        """Goes to an address."""
        self.command("Page.navigate", url=address)
        self.wait_for("document.readyState == 'complete'")

    def click(self, element: str) -> None:
        """Presses and releases the mouse in the middle of what a JavaScript expression finds."""
        self.wait_for(f"({element})?.getBoundingClientRect().width")
        self.evaluate(f"({element}).scrollIntoView({{block: 'center'}})")
        x, y = self.evaluate(
            f"(box => [box.x + box.width / 2, box.y + box.height / 2])"
            f"(({element}).getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.command(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )

    def write(self, text: str) -> None:
        """Types a text where the cursor stands."""
        self.command("Input.insertText", text=text)


@contextmanager
def opened_browser(profile: Path) -> Iterator[Page]:
    """A browser with an empty profile, for as long as a `with` lasts."""
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,1400")
    command = [CHROMIUM, *options, "--remote-debugging-port=0", f"--user-data-dir={profile}"]
    process = subprocess.Popen([*command, "about:blank"], stderr=subprocess.DEVNULL)
    try:
        port_file, deadline = profile / "DevToolsActivePort", time.monotonic() + WITHIN_SECONDS
        while not port_file.exists() or not port_file.read_text():
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.1)
        port = port_file.read_text().split()[0]
        pages = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False).json()
        (page,) = [one for one in pages if one["type"] == "page"]
        with connect(page["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        process.wait(timeout=60)
