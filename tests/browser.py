"""A headless Chromium that does what a person does, driven by its own protocol on loopback."""

import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


class Browser:
    """One page of a browser, by the DevTools protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._numbers = socket, itertools.count(1)

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Calls a method, and returns its result.

        Raises:
            RuntimeError: The browser refuses, or the script has thrown.
        """
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (reply := json.loads(self._socket.recv(timeout=120))).get("id") != number:
            pass  # an event
        if "error" in reply or "exceptionDetails" in reply.get("result", {}):
            raise RuntimeError(f"{method}: {json.dumps(reply)[:500]}")
        found: dict[str, Any] = reply["result"]
        return found

    def evaluate(self, script: str) -> object:
        """The value of a script, or of what it promises."""
        found = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        return found["result"].get("value")

    def open(self, address: str) -> None:
        """Goes to a page."""
        self.call("Page.navigate", url=address)

    def wait_for(self, script: str) -> object:
        """The value of a script, as soon as it has one that is not false.

        Raises:
            TimeoutError: It has none within two minutes.
        """
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            # While one page makes room for the next, no script can run.
            with suppress(RuntimeError):
                if value := self.evaluate(script):
                    return value
            time.sleep(0.1)
        raise TimeoutError(f"{script}: still not so in {self.evaluate('document.body.innerText')}")

    def click(self, label: str) -> None:
        """Presses the button with that label, as soon as there is one."""
        self.wait_for(
            f"""[...document.querySelectorAll("button")]
              .filter((one) => one.innerText.trim() === {json.dumps(label)} && !one.disabled)
              .map((one) => {{ one.click(); return true; }})[0]"""
        )

    def type(self, field: str, text: str) -> None:
        """Types into the first field of a CSS selector, as soon as there is one."""
        found = f"document.querySelector({json.dumps(field)})"
        self.wait_for(f"{found} && ({found}.focus(), document.activeElement === {found})")
        self.call("Input.insertText", text=text)

    def choose(self, field: str, option: str) -> None:
        """Chooses an option of the first list of a CSS selector, as soon as there is one."""
        self.wait_for(
            f"""[document.querySelector({json.dumps(field)})].filter(Boolean).map((one) => {{
              one.value = {json.dumps(option)};
              one.dispatchEvent(new Event("change", {{ bubbles: true }}));
              return one.value; }})[0]"""
        )


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """A headless Chromium with an empty page, for as long as a `with` lasts."""
    if CHROMIUM is None:
        raise SystemExit("Chromium is not installed: apt-get install chromium")
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1366,768")
    profile = folder / "profile"
    command = [CHROMIUM, *options, "--remote-debugging-port=0", f"--user-data-dir={profile}"]
    with subprocess.Popen([*command, "about:blank"], stderr=subprocess.DEVNULL) as process:
        try:
            told = profile / "DevToolsActivePort"
            while not (told.is_file() and told.read_text()):
                if process.poll() is not None:
                    raise RuntimeError(f"Chromium ended with {process.returncode}")
                time.sleep(0.05)
            port = told.read_text().splitlines()[0]
            with urlopen(f"http://127.0.0.1:{port}/json/list") as reply:
                (target,) = [one for one in json.load(reply) if one["type"] == "page"]
            with connect(target["webSocketDebuggerUrl"], max_size=2**26) as socket:
                yield Browser(socket)
        finally:
            process.terminate()
