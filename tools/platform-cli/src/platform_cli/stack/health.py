"""Is each process ready? Asked of the process itself; the supervisor only knows that it runs."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import aiohttp

from platform_cli.stack import supervision
from platform_cli.stack.roles import ROLES, Role, Surroundings
from platform_cli.stack.state import State

READY_TIMEOUT_S = 120.0  # eleven Python processes start in 10 s on two idle cores
RESTARTS_MAX = 8  # a process that died this often while we waited will not come up
POLL_S = 0.3
LOG_TAIL_LINES = 25


class DidNotBecomeReady(RuntimeError):
    """The message says which process, why, and shows the end of its log."""


@dataclass(frozen=True, slots=True)
class Health:
    """One process as `ps` shows it; `port` is its API's, or the one for metrics and health."""

    role: str
    pid: int
    port: int
    restarts: int
    health: str
    state: str


async def wait_until_ready(state: State, surroundings: Surroundings, say: Callable[[str], None]) -> None:
    """Return when every role says that it is ready. Raises DidNotBecomeReady."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READY_TIMEOUT_S
    while True:
        answers = await _ask_all(surroundings)
        running = {status.name for status in supervision.statuses(state) if status.state == "RUNNING"}
        # Both: a stranger on our port may answer for a process of ours that cannot listen there.
        waiting = [role for role, answer in answers.items() if answer != "ready" or role not in running]
        if not waiting:
            return
        say(f"{len(ROLES) - len(waiting)} of {len(ROLES)} ready, waiting for {', '.join(waiting)}")
        _fail_if_hopeless(state, waiting, is_late=loop.time() > deadline)
        await asyncio.sleep(POLL_S)


def _fail_if_hopeless(state: State, waiting: list[str], *, is_late: bool) -> None:
    for status in supervision.statuses(state):
        is_gone = status.state == "FATAL" or status.restarts > RESTARTS_MAX
        if status.name in waiting and (is_late or is_gone):
            log = state.logs / f"{status.name}.log"
            tail = (
                "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
                if log.exists()
                else ""
            )
            raise DidNotBecomeReady(
                f"{status.name} is {status.state} after {status.restarts} restarts. The end of {log}:\n{tail}"
            )


async def process_table(state: State, surroundings: Surroundings) -> list[Health]:
    """Every supervised process with its health. Raises supervision.NotRunning."""
    known = supervision.statuses(state)
    answers = await _ask_all(surroundings)
    roles = {role.name: role for role in ROLES}
    return [
        Health(
            role=status.name,
            pid=status.pid,
            port=_port(surroundings.ports, status.name, roles.get(status.name)),
            restarts=status.restarts,
            health=answers.get(status.name, "ready" if status.state == "RUNNING" else "down"),
            state=status.state,
        )
        for status in known
    ]


def _port(ports: Mapping[str, int], name: str, role: Role | None) -> int:
    return ports[(role.serves or role.ops) if role else name]


async def _ask_all(surroundings: Surroundings) -> dict[str, str]:
    timeout = aiohttp.ClientTimeout(total=4)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        answers = await asyncio.gather(*(_ask(session, surroundings.health_url(role)) for role in ROLES))
    return {role.name: answer for role, answer in zip(ROLES, answers, strict=True)}


async def _ask(session: aiohttp.ClientSession, url: str) -> str:
    """`ready`, `down` when nothing listens, else what the process says is failing."""
    try:
        async with session.get(url) as reply:
            if reply.status == 200:
                return "ready"
            body = await reply.json(content_type=None)
            return (
                "not ready: " + ", ".join(body.get("failing", {})) if isinstance(body, dict) else "not ready"
            )
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return "down"
