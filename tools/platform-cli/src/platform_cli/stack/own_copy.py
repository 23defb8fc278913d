"""A copy of the platform that lives as long as the program that wants it: a demo, a benchmark, a load test."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from platform_cli.embedded import running
from platform_cli.embedded.unprivileged import server_user, temporary_root
from platform_cli.stack import supervision
from platform_cli.stack.state import State


@contextmanager
def own_copy(prefix: str, *, keep: bool = False) -> Iterator[State]:
    """The state directory of a copy that is still to be brought up; stopped and removed at the end, unless `keep`.

    What a program with the same `prefix` left running when it was killed is stopped first: it would take the cores
    from everybody.
    """
    user = server_user()
    for abandoned in temporary_root(user).glob(f"{prefix}*"):
        if running.is_abandoned(abandoned):
            _end(State(abandoned))
    state = State(running.make_directory(prefix, user))
    try:
        yield state
    finally:
        if keep and supervision.is_running(state):
            print(f"It still runs: PLATFORM_STATE={state.root} platform ps|logs|down; the next run ends it.")
        else:
            _end(state)


def _end(state: State) -> None:
    supervision.stop(state)
    shutil.rmtree(state.root, ignore_errors=True)


def leave_in_order_on_sigterm() -> None:
    """Let SIGTERM unwind the program, so that `finally` stops what runs. Exit status 143."""

    def leave(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(143)

    signal.signal(signal.SIGTERM, leave)
