"""The operator's door: metrics and health, in the loop that does the work."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest

from platform_kit import ops
from platform_kit.ops import OpsServer

pytestmark = pytest.mark.timing


async def fails() -> None:
    raise ConnectionRefusedError("secret detail")


async def passes() -> None:
    return None


async def is_not_yet() -> bool:
    return False


async def hangs() -> None:
    await asyncio.sleep(30)


async def asked(server: OpsServer, path: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{server.port}{path}") as answer,
    ):
        return answer.status, await answer.text()


@pytest.fixture
async def server():  # type: ignore[no-untyped-def]
    server = OpsServer(
        "127.0.0.1", 0, checks={"database": passes, "redis": fails, "head": is_not_yet}, live={"loop": passes}
    )
    await server.start(any_port=True)
    yield server
    await server.stop()


async def test_metrics_are_in_the_text_format(server: OpsServer) -> None:
    status, body = await asked(server, "/metrics")
    assert status == 200
    assert "# TYPE http_requests_total counter" in body


async def test_ready_names_each_check_that_fails_without_its_detail(server: OpsServer) -> None:
    status, body = await asked(server, "/health/ready")
    assert status == 503
    assert "redis" in body
    assert "head" in body
    assert "ConnectionRefusedError" in body
    assert "secret detail" not in body
    assert "database" not in body


async def test_live_does_not_ask_the_dependencies(server: OpsServer) -> None:
    assert (await asked(server, "/health/live"))[0] == 200


async def test_a_check_that_hangs_is_a_failure_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "CHECK_TIMEOUT_S", 0.1)
    started = time.monotonic()
    assert await ops.failing({"a": hangs, "b": hangs, "c": passes}) == {
        "a": "TimeoutError",
        "b": "TimeoutError",
    }
    assert time.monotonic() - started < 1


async def test_port_0_is_off() -> None:
    async with OpsServer("127.0.0.1", 0) as server:
        assert server._runner is None


async def test_a_stuck_loop_fails_its_liveness(server: OpsServer) -> None:
    """Served by the same loop, so a probe from outside gets no answer while the loop is stuck."""

    def probe() -> str:
        import socket

        with socket.create_connection(("127.0.0.1", server.port), timeout=0.3) as connection:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            try:
                return connection.recv(100).decode()
            except TimeoutError:
                return "no answer"

    stuck = asyncio.get_running_loop().run_in_executor(None, probe)
    await asyncio.sleep(0)
    time.sleep(0.6)  # noqa: ASYNC251 - this is the stuck loop
    assert await stuck == "no answer"
