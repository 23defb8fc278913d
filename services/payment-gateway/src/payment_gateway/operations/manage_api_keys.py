"""A merchant's API keys: make one that may do less, put a new one in the place of an old one, end one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from payment_gateway.domain.audit import THE_PLATFORM, Actor, Entry
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.manage_merchants import hash_key, new_key
from payment_gateway.store import audit_log, merchants
from payment_gateway.store.merchants import ApiKey
from payment_gateway.store.tenancy import as_merchant
from platform_kit.clock import isoformat
from platform_kit.ids import is_id, new_id
from platform_kit.problems import NotFound, Problem

KEYS_SHOWN_MAX: Final = 100
HINT_LENGTH: Final = 4


class InsufficientScope(Problem):
    status, code, title = 403, "insufficient-scope", "This API key may not do that"


@dataclass(frozen=True, slots=True)
class MakeApiKey:
    """`scopes` None = all that the maker has; `maker_scopes` None = all there are."""

    merchant_id: str
    maker_scopes: frozenset[str] | None
    name: str | None
    scopes: frozenset[str] | None
    expires_at: datetime | None
    by: Actor = THE_PLATFORM


async def make_api_key(deps: Deps, command: MakeApiKey) -> dict[str, Any]:
    """The new key with its `api_key`, shown this once. Raises InsufficientScope for more than its maker has."""
    scopes = command.maker_scopes if command.scopes is None else command.scopes
    if command.maker_scopes is not None and scopes is not None and not scopes <= command.maker_scopes:
        raise InsufficientScope("A key can only pass on scopes that it has.")
    async with deps.engine.begin() as connection:
        made = await _insert(connection, command.merchant_id, command.name, scopes, command.expires_at)
        await _record(connection, command.by, "api_key.created", command.merchant_id, made)
        return made


async def list_api_keys(deps: Deps, merchant_id: str) -> Sequence[dict[str, Any]]:
    """The newest first, also those that have ended; never a key itself."""
    async with as_merchant(deps.engine, merchant_id) as connection:
        return [key_object(key) for key in await merchants.list_keys(connection, merchant_id, KEYS_SHOWN_MAX)]


async def revoke_api_key(
    deps: Deps, merchant_id: str, key_id: str, by: Actor = THE_PLATFORM
) -> dict[str, Any]:
    """The key, ended: a process that has just looked it up believes it for a second more. Raises NotFound."""
    async with deps.engine.begin() as connection:
        key = await _find(connection, merchant_id, key_id)
        ended = key_object(await merchants.end_key(connection, key.id, overlap_s=0, at_once=True))
        await _record(connection, by, "api_key.revoked", merchant_id, ended)
        return ended


async def rotate_api_key(
    deps: Deps,
    merchant_id: str,
    maker_scopes: frozenset[str] | None,
    key_id: str,
    overlap_s: int,
    by: Actor = THE_PLATFORM,
) -> dict[str, Any]:
    """A new key with the same name and scopes; the old one works for `overlap_s` more. Raises NotFound,
    InsufficientScope."""
    async with deps.engine.begin() as connection:
        old = await _find(connection, merchant_id, key_id)
        if maker_scopes is not None and (old.scopes is None or not old.scopes <= maker_scopes):
            raise InsufficientScope("A key can only renew scopes that it has.")
        await merchants.end_key(connection, old.id, overlap_s=overlap_s, at_once=False)
        made = await _insert(connection, merchant_id, old.name, old.scopes, None)
        await _record(
            connection, by, "api_key.rotated", merchant_id, made, replaces=old.id, overlap_s=overlap_s
        )
        return made


def key_object(key: ApiKey) -> dict[str, Any]:
    """What is shown of a key."""
    return {
        "id": key.id,
        "object": "api_key",
        "name": key.name,
        "hint": key.hint,
        "scopes": None if key.scopes is None else sorted(key.scopes),
        "expires_at": isoformat(key.expires_at) if key.expires_at else None,
        "revoked_at": isoformat(key.revoked_at) if key.revoked_at else None,
        "last_used_at": isoformat(key.last_used_at) if key.last_used_at else None,
        "created_at": isoformat(key.created_at),
    }


async def _insert(
    connection: Any,
    merchant_id: str,
    name: str | None,
    scopes: frozenset[str] | None,
    expires_at: datetime | None,
) -> dict[str, Any]:
    secret = new_key()
    made = await merchants.insert_key(
        connection,
        new_id("key"),
        merchant_id,
        hash_key(secret),
        name=name,
        hint=secret[-HINT_LENGTH:],
        scopes=scopes,
        expires_at=expires_at,
    )
    return key_object(made) | {"api_key": secret}


async def _record(
    connection: Any, by: Actor, action: str, merchant_id: str, key: dict[str, Any], **more: Any
) -> None:
    """Keep the act: what the key may do and until when, never the key."""
    told = {name: key[name] for name in ("name", "hint", "scopes", "expires_at")}
    await audit_log.record(connection, by, Entry(action, merchant_id, key["id"], told | more))


async def _find(connection: Any, merchant_id: str, key_id: str) -> ApiKey:
    found = await merchants.lock_key(connection, key_id, merchant_id) if is_id("key", key_id) else None
    if found is None:
        raise NotFound("This merchant has no such API key.")
    return found
