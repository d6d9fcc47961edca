"""A real, headless Chromium, spoken to in its own protocol over two pipes: no driver, no port, no package."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-background-networking", "--disable-extensions", "--hide-scrollbars",
    "--force-color-profile=srgb", "--password-store=basic", "--use-mock-keychain",
)  # fmt: skip
PATIENCE = 60  # seconds
# The browser reads its file 3 and writes its file 4.
HAND = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"


def find() -> str | None:
    """The program, or None where there is none. CHROMIUM names another."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Chromium:
    """One browser; `page` opens a file in a tab of its own."""

    def __init__(self) -> None:
        program = find()
        assert program is not None, "no chromium is installed, and CI may not do without: apt-get install chromium"
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs, ours = os.pipe(), os.pipe()
        self._out, self._in = theirs[1], ours[0]
        handed = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs[0], ours[1])]  # out of the way of 3 and 4
        command = [sys.executable, "-c", HAND, *map(str, handed), program, *FLAGS,
                   f"--user-data-dir={self._folder.name}", "about:blank"]  # fmt: skip
        self._process = subprocess.Popen(
            command, pass_fds=handed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        for end in (*handed, theirs[0], ours[1]):
            os.close(end)
        self._number, self._buffer = 0, b""
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **params: Any) -> Any:
        """The answer to a command; what happens meanwhile is kept in `events`."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        message |= {"sessionId": session} if session else {}
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        while True:
            said = self._read()
            if said.get("id") == self._number:
                assert "error" not in said, f"{method}: {said['error']}"
                return said["result"]
            self.events.append(said)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], PATIENCE)
            assert ready, f"the browser has said nothing for {PATIENCE} s"
            data = os.read(self._in, 1 << 20)
            assert data, "the browser is gone"
            self._buffer += data
        first, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(first)

    def page(self, file: Path, fragment: str = "", **options: Any) -> Page:
        """A file, loaded to its end."""
        return Page(self, file.resolve().as_uri() + fragment, **options)

    def close(self) -> None:
        """End the browser."""
        self.call("Browser.close")
        self._process.wait(30)
        os.close(self._in)
        os.close(self._out)
        self._folder.cleanup()


class Page:
    """A loaded page, and all that went wrong in it."""

    def __init__(
        self, browser: Chromium, address: str, *, width: int = 1440, height: int = 900, dark: bool = False,
        script: bool = True,
    ) -> None:  # fmt: skip
        self._browser, self._since = browser, len(browser.events)
        self._target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=self._target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 700)  # fmt: skip
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call("Page.navigate", url=address)
        while not any(event.get("method") == "Page.loadEventFired" for event in self._events()):
            browser.events.append(browser._read())

    def call(self, method: str, **params: Any) -> Any:
        """A command of the page's own."""
        return self._browser.call(method, self._session, **params)

    def _events(self) -> list[dict[str, Any]]:
        return [e for e in self._browser.events[self._since :] if e.get("sessionId") == self._session]

    def faults(self) -> list[str]:
        """Errors of the console, of scripts and of the policy."""
        found = []
        for event in self._events():
            params = event.get("params", {})
            if event["method"] == "Runtime.exceptionThrown":
                found.append(json.dumps(params["exceptionDetails"]))
            if event["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
                found.append(json.dumps(params["args"]))
            if event["method"] == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                found.append(params["entry"]["text"])
        return found

    def asked(self) -> list[str]:
        """Every address that was asked for, but those inside the file."""
        sent = [e["params"]["request"]["url"] for e in self._events() if e["method"] == "Network.requestWillBeSent"]
        return [address for address in sent if not address.startswith("data:")]

    def blocked(self) -> list[str | None]:
        """Why what was asked for did not come; None where it was not for the policy."""
        return [e["params"].get("blockedReason") for e in self._events() if e["method"] == "Network.loadingFailed"]

    def run(self, expression: str) -> Any:
        """The value of an expression (the tests' own scripts run where the page's are switched off)."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def click(self, selector: str) -> None:
        """A click of the mouse in the middle of an element, scrolled into sight, once it stands still."""
        measure = (f"new Promise(done => requestAnimationFrame(() => {{ const e = document.querySelector("
                   f"{json.dumps(selector)}); e.scrollIntoView({{block: 'center', behavior: 'instant'}});"
                   "const b = e.getBoundingClientRect();"
                   "done([b.x + Math.min(b.width, 40) / 2, b.y + b.height / 2]); }))")  # fmt: skip
        box, before = self.run(measure), None
        while box != before:
            box, before = self.run(measure), box
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def press(self, key: str, code: int, text: str | None = None) -> None:
        """A key."""
        more = {"text": text} if text else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=code, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)

    def picture(self, whole: bool = False) -> bytes:
        """A screenshot, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    def close(self) -> None:
        """Close the tab."""
        self._browser.call("Target.closeTarget", targetId=self._target)
