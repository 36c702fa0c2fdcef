"""A page in Chromium, without a window: what it measures, and what it looks like."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import program

_SWITCHES = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"),
    *("--no-first-run", "--disable-component-update", "--remote-debugging-pipe"),
]


class Browser:
    """One tab; speaks Chromium's own protocol over pipes: https://chromedevtools.github.io/devtools-protocol/."""

    def __init__(self, to: int, back: int) -> None:
        self._to = to
        self._back = back
        self._number = 0
        self._rest = b""
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._answer()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]  # type: ignore[no-any-return]

    def _answer(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._back, 1 << 16)
            assert piece, "Chromium ended"
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)  # type: ignore[no-any-return]

    def show(self, page: Path, width: int, scheme: str = "light") -> None:
        """Load a page into a window of this width."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=page.absolute().as_uri())
        while self.ask("document.readyState") != "complete" or self.ask("location.href") == "about:blank":
            pass

    def ask(self, expression: str) -> Any:
        """Return what an expression of JavaScript says."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def photograph(self, target: Path) -> None:
        """Write a picture of the whole page."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        target.write_bytes(base64.b64decode(found["data"]))


@contextmanager
def browser() -> Iterator[Browser]:
    """Start Chromium for as long as the context lasts."""
    chromium = program("chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        read_it, write_to_it = os.pipe()
        read_from_it, write_it = os.pipe()
        command = [chromium, *_SWITCHES, f"--user-data-dir={profile}"]
        # The protocol is on the descriptors 3 and 4.
        script = f'exec "$@" 3<&{read_it} 4>&{write_it}'
        process = subprocess.Popen(
            ["bash", "-c", script, "bash", *command],
            pass_fds=(read_it, write_it),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_it)
        os.close(write_it)
        try:
            yield Browser(write_to_it, read_from_it)
        finally:
            os.close(write_to_it)
            os.close(read_from_it)
            process.terminate()
            process.wait(30)


CONTRAST = r"""
(() => {
  const numbers = text => (text.match(/[\d.]+/g) || []).map(Number);
  const over = (top, under) => {
    const alpha = top.length > 3 ? top[3] : 1;
    return [0, 1, 2].map(i => top[i] * alpha + under[i] * (1 - alpha));
  };
  const background = node => {
    if (!node) return [255, 255, 255];
    const own = numbers(getComputedStyle(node).backgroundColor);
    return own.length > 3 && own[3] === 0 ? background(node.parentElement) : over(own, background(node.parentElement));
  };
  const light = colour => {
    const [r, g, b] = colour.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.getClientRects().length) continue;
    const under = background(node);
    const ink = over(numbers(getComputedStyle(node).color), under);
    const [a, b] = [light(ink), light(under)].sort((x, y) => y - x);
    found.push([Math.round(100 * (a + 0.05) / (b + 0.05)) / 100, walker.currentNode.data.trim().slice(0, 60)]);
  }
  return found.sort((a, b) => a[0] - b[0]).slice(0, 5);
})()
"""
NARROW = r"""
(() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim();
    if (text.length < 4 || walker.currentNode.parentElement.closest(".map")) continue;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    const seen = [...range.getClientRects()].filter(box => box.width > 1);
    const lines = new Set(seen.map(box => Math.round(box.top))).size;
    if (lines > 2 && text.length / lines < 5) found.push([lines, text.slice(0, 60)]);
  }
  return found;
})()
"""
