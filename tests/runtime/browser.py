"""A Chromium without a window, driven through a pipe by its DevTools protocol: no driver, no port."""

import base64
import json
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_PATIENCE_S = 60
_OPTIONS = (
    *("--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb"),
    *("--no-first-run", "--disable-background-networking", "--allow-file-access-from-files"),
)


def find_browser() -> str | None:
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


class Browser:
    """One tab. `opened` are the pages it was sent to, `requests` the addresses it asked for,
    `complaints` what pages reported."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers, self._rest = commands, answers, b""
        self._sent, self._session = 0, ""
        self.opened: list[str] = []
        self.requests: list[str] = []
        self.complaints: list[str] = []
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        attached = self._send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self._send(f"{domain}.enable")

    def open(self, page: Path, width: int = 1280, height: int = 800, density: float = 1) -> None:
        self.resize(width, height, density)
        self.opened.append(page.as_uri())
        self._loaded = False
        self._send("Page.navigate", url=page.as_uri())
        while not self._loaded:
            self._hear()
        self.evaluate("Promise.all([...document.images].map((image) => image.decode()))")

    def resize(self, width: int, height: int, density: float = 1, *, mobile: bool = False) -> None:
        self._send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=density,
            mobile=mobile,
        )
        self._send("Emulation.setTouchEmulationEnabled", enabled=mobile)

    def prefer(self, scheme: str) -> None:
        """light or dark."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self._send("Emulation.setEmulatedMedia", features=[feature])

    def evaluate(self, script: str) -> Any:
        """What the expression gives, awaited, as JSON has it."""
        result = self._send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def press(self, key: str, text: str = "") -> None:
        self._send("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, text=text)
        self._send("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)

    def drag(self, *path: tuple[float, float]) -> None:
        """With the mouse."""
        kinds = ["mousePressed", *["mouseMoved"] * (len(path) - 1)]
        for kind, (x, y) in zip(kinds, path, strict=True):
            self._mouse(kind, x, y)
        self._mouse("mouseReleased", *path[-1])

    def _mouse(self, kind: str, x: float, y: float) -> None:
        held = 0 if kind == "mouseReleased" else 1
        self._send(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=held,
            clickCount=1,
        )  # fmt: skip

    def turn_wheel(self, x: float, y: float, by: float) -> None:
        self._send("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=by)

    def touch(self, *moments: list[tuple[float, float]]) -> None:
        """Fingers that are put down, moved from moment to moment, and lifted."""
        kinds = ["touchStart", *["touchMove"] * (len(moments) - 1), "touchEnd"]
        for kind, fingers in zip(kinds, [*moments, []], strict=True):
            points = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(fingers)]
            self._send("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    def accessible(self) -> list[tuple[str, str]]:
        """Role and name of everything that assistive technology is told of."""
        nodes = self._send("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node["name"]["value"])
            for node in nodes
            if not node["ignored"] and "name" in node
        ]

    def screenshot(self) -> bytes:
        """A PNG."""
        return base64.b64decode(self._send("Page.captureScreenshot")["data"])

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._sent += 1
        message: dict[str, Any] = {"id": self._sent, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while (answer := self._hear()).get("id") != self._sent:
            pass
        assert "error" not in answer, answer["error"]
        return dict(answer["result"])

    def _hear(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._answers], [], [], _PATIENCE_S)
            assert ready, f"the browser has said nothing for {_PATIENCE_S} s"
            heard = os.read(self._answers, 1 << 20)
            assert heard, "the browser has ended"
            self._rest += heard
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        match message.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            case "Runtime.exceptionThrown" | "Log.entryAdded" | "Runtime.consoleAPICalled":
                self.complaints.append(str(message["params"]))
        return message


@contextmanager
def started(browser: str, profile: Path) -> Iterator[Browser]:
    """The browser reads commands from its descriptor 3 and answers on 4."""
    (reads, commands), (answers, writes) = os.pipe(), os.pipe()
    arguments = [browser, *_OPTIONS, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(
        ["bash", "-c", f'exec "$@" 3<&{reads} 4>&{writes}', "bash", *arguments],
        pass_fds=(reads, writes),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(reads)
    os.close(writes)
    try:
        yield Browser(commands, answers)
    finally:
        process.terminate()
        process.wait(_PATIENCE_S)
        os.close(commands)
        os.close(answers)
