"""A real browser over the DevTools protocol: opens pages, reports what the console complains of, takes pictures."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
START_MAX_S = 30.0
LOAD_MAX_S = 40.0  # a shared machine may stand still for a while


def program() -> str | None:
    """Where a Chromium is, or None."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return next((path for path in found if path), None)


@dataclass
class Page:
    """One tab. `complaints` are errors of scripts, of the content security policy and of the network."""

    socket: aiohttp.ClientWebSocketResponse
    complaints: list[str] = field(default_factory=list)
    _number: int = 0
    _loaded: asyncio.Event = field(default_factory=asyncio.Event)
    _answers: dict[int, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        await self.socket.send_str(json.dumps({"id": self._number, "method": method, "params": params}))
        async with asyncio.timeout(LOAD_MAX_S):
            found: dict[str, Any] = await answer
            return found

    async def listen(self) -> None:
        async for message in self.socket:
            told = json.loads(message.data)
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told.get("result", told))
            else:
                self._note(told["method"], told["params"])

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded.set()
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(params["entry"]["text"])

    async def open(self, url: str, *, width: int = 1440, is_dark: bool = False, script: bool = True) -> None:
        """Load a page and wait until it is there."""
        await self._show(width, is_dark)
        await self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self._loaded.clear()
        await self.call("Page.navigate", url=url)
        async with asyncio.timeout(LOAD_MAX_S):
            await self._loaded.wait()

    async def see(self, *, width: int, is_dark: bool) -> None:
        """The page that is open on another screen, laid out anew but not loaded again."""
        await self._show(width, is_dark)
        await self.ask("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    async def _show(self, width: int, is_dark: bool) -> None:
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.call("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        return answer["result"].get("value")

    async def picture(self, path: Path) -> None:
        """A PNG of the whole page."""
        answer = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        await asyncio.to_thread(_write, path, base64.b64decode(answer["data"]))


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Page]:
    """A browser with a new profile and one tab; ended afterwards."""
    executable = program()
    assert executable is not None, "no Chromium on this machine"
    process = await asyncio.create_subprocess_exec(
        executable,
        *FLAGS,
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as session:
            port = await _port(profile / "DevToolsActivePort")
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                targets = await answer.json(content_type=None)
            url = next(target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page")
            async with session.ws_connect(url, max_msg_size=64 * 1024 * 1024) as socket:
                page = Page(socket)
                listening = asyncio.create_task(page.listen())
                for domain in ("Page", "Runtime", "Log"):
                    await page.call(f"{domain}.enable")
                yield page
                listening.cancel()
    finally:
        process.terminate()
        await process.wait()


async def _port(file: Path) -> int:
    """The port that the browser chose; it writes it down when it listens."""
    async with asyncio.timeout(START_MAX_S):
        while not (told := await asyncio.to_thread(_content, file)):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.1)
    return int(told.split()[0])


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _content(file: Path) -> str:
    return file.read_text() if file.exists() else ""
