"""Let an operator in by name and password, or refuse: slowly for who guesses."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Final

from data_pipeline.domain.operators import NOBODY, PASSWORD_MAX, SESSION_MAX, hash_session, is_name, matches
from data_pipeline.operations.deps import Deps
from data_pipeline.store import operators
from platform_kit.problems import Problem

WINDOW: Final = timedelta(minutes=15)
FAILURES_OF_NAME_MAX: Final = 10
FAILURES_OF_ADDRESS_MAX: Final = 50  # an office behind one address mistypes more than one person

# One at a time: each takes 32 MiB, and who sends a thousand must not take the process down.
_passwords = ThreadPoolExecutor(1, "passwords")


class LoginRefused(Problem):
    status, code, title = 401, "login-refused", "Name or password is wrong"


class TooManyLogins(Problem):
    status, code, title = 429, "too-many-logins", "Too many failed log-ins: wait 15 minutes"


async def log_in(deps: Deps, name: str, password: str, address: str) -> str:
    """The new session's id, for a cookie. Raises LoginRefused, whatever was wrong, or TooManyLogins."""
    now = deps.clock.now()
    name = name if is_name(name) else ""
    async with deps.engine.connect() as conn:
        by_name, by_address = await operators.failures_since(conn, name, address, now - WINDOW)
        if by_name >= FAILURES_OF_NAME_MAX or by_address >= FAILURES_OF_ADDRESS_MAX:
            raise TooManyLogins()
        kept = await operators.password_of(conn, name)
    is_right = await asyncio.get_running_loop().run_in_executor(
        _passwords, matches, password[:PASSWORD_MAX], kept or NOBODY
    )
    is_let_in = is_right and kept is not None
    session_id = secrets.token_urlsafe(32)
    async with deps.engine.begin() as conn:
        await operators.note_login(conn, name, address, now, succeeded=is_let_in)
        if is_let_in:
            await operators.end_sessions_before(conn, now - SESSION_MAX)
            await operators.open_session(conn, hash_session(session_id), name, now)
    if not is_let_in:
        raise LoginRefused()
    return session_id


async def log_out(deps: Deps, session_id: str) -> None:
    """End the session; ending it twice is the same."""
    async with deps.engine.begin() as conn:
        await operators.end_session(conn, hash_session(session_id))
