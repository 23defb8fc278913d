"""People of risk control: admit one, end one, and know one by the token that was sent."""

import hashlib
import secrets
import time
from collections.abc import Sequence
from typing import Any

from platform_kit.ids import is_id, new_id
from platform_kit.problems import NotFound, Problem
from risk_engine.domain.staff import Actor, Role
from risk_engine.operations.deps import Deps
from risk_engine.store import staff

TOKEN_PREFIX = "rsk_"  # noqa: S105 - what tokens begin with, so that scanners find leaked ones
CACHE_S = 1.0  # an ended token works for at most this long
CACHED_MAX = 1_000
SHOWN_MAX = 200


class NameTaken(Problem):
    status, code, title = 409, "name-taken", "Somebody has this name already"


async def admit_staff(deps: Deps, name: str, role: Role) -> dict[str, Any]:
    """A new person with their `token`, shown this once. Raises NameTaken."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    async with deps.engine.begin() as conn:
        made = await staff.add(conn, new_id("stf"), name, role, hash_of(token))
    if made is None:
        raise NameTaken("Acts are recorded by name: end the other one's token first, or take another name.")
    return made | {"token": token}


async def end_staff(deps: Deps, staff_id: str) -> dict[str, Any]:
    """End a person's token. Raises NotFound."""
    async with deps.engine.begin() as conn:
        ended = await staff.end(conn, staff_id) if is_id("stf", staff_id) else None
    if ended is None:
        raise NotFound("Nobody has this id.")
    return ended


async def list_staff(deps: Deps) -> Sequence[dict[str, Any]]:
    """Everybody, newest first; never a token."""
    async with deps.engine.connect() as conn:
        return await staff.newest(conn, SHOWN_MAX)


async def find_staff(deps: Deps, token: str) -> Actor | None:
    """Whose token it is; Postgres is asked at most once a second for each."""
    if not token.startswith(TOKEN_PREFIX):
        return None
    digest, now_s = hash_of(token), time.monotonic()
    known = deps.known_staff.get(digest)
    if known is not None and known[0] > now_s:
        return known[1]
    async with deps.engine.connect() as conn:
        found = await staff.find(conn, digest)
    if found is not None:
        if len(deps.known_staff) >= CACHED_MAX:
            deps.known_staff.clear()
        deps.known_staff[digest] = (now_s + CACHE_S, found)
    return found


async def staff_named(deps: Deps, name: str) -> Actor | None:
    """Who has this name and has not ended. Not remembered: who is ended is ended at once."""
    async with deps.engine.connect() as conn:
        role = await staff.role_of(conn, name)
    return None if role is None else Actor(name, role)


def hash_of(token: str) -> bytes:
    """SHA-256: tokens have 256 random bits, so nothing slower is needed."""
    return hashlib.sha256(token.encode()).digest()
