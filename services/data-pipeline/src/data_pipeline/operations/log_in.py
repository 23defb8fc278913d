"""Let an operator in by name and password, or refuse: slowly for who guesses."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Semaphore
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.operators import NOBODY, PASSWORD_MAX, SESSION_MAX, hash_session, is_name, matches
from data_pipeline.operations.deps import Deps
from data_pipeline.store import operators
from platform_kit.problems import Problem

WINDOW: Final = timedelta(minutes=15)
FAILURES_OF_NAME_MAX: Final = 10
FAILURES_OF_ADDRESS_MAX: Final = 50  # an office behind one address mistypes more than one person

WAITING_MAX: Final = 20  # passwords that wait to be hashed: two or three seconds

# One at a time: each takes 32 MiB, and who sends a thousand must not take the process down.
_passwords = ThreadPoolExecutor(1, "passwords")
_waiting = Semaphore(WAITING_MAX)


class LoginRefused(Problem):
    status, code, title = 401, "login-refused", "Name or password is wrong"


class TooManyLogins(Problem):
    status, code, title = 429, "too-many-logins", "Too many failed log-ins: wait 15 minutes"


async def log_in(deps: Deps, name: str, password: str, address: str) -> str:
    """The new session's id, for a cookie. Raises LoginRefused, whatever was wrong, or TooManyLogins."""
    now = deps.clock.now()
    name = name if is_name(name) else ""
    async with deps.engine.connect() as conn:
        await _refuse_guessing(conn, name, address, now)
        kept = await operators.password_of(conn, name)
    is_let_in = await _is_right(password, kept or NOBODY) and kept is not None
    session_id = secrets.token_urlsafe(32)
    async with deps.engine.begin() as conn:
        # Once more, one attempt of a name after the other: a thousand that came together have all read "no failure".
        await operators.lock_name(conn, name)
        await _refuse_guessing(conn, name, address, now)
        await operators.note_login(conn, name, address, now, succeeded=is_let_in)
        if is_let_in:
            await operators.end_sessions_before(conn, now - SESSION_MAX)
            await operators.open_session(conn, hash_session(session_id), name, now)
    if not is_let_in:
        raise LoginRefused()
    return session_id


async def _refuse_guessing(conn: AsyncConnection, name: str, address: str, now: datetime) -> None:
    by_name, by_address = await operators.failures_since(conn, name, address, now - WINDOW)
    if by_name >= FAILURES_OF_NAME_MAX or by_address >= FAILURES_OF_ADDRESS_MAX:
        raise TooManyLogins()


async def _is_right(password: str, kept: str) -> bool:
    if not _waiting.acquire(blocking=False):
        raise TooManyLogins()
    try:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(_passwords, matches, password[:PASSWORD_MAX], kept)
    finally:
        _waiting.release()


async def log_out(deps: Deps, session_id: str) -> None:
    """End the session; ending it twice is the same."""
    async with deps.engine.begin() as conn:
        await operators.end_session(conn, hash_session(session_id))
