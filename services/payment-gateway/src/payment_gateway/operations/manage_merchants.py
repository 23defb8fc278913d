"""Merchants and their API keys."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from payment_gateway.domain.audit import THE_PLATFORM, Actor, Entry
from payment_gateway.domain.versions import CURRENT
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.merchant_events import CREATED, tell_merchant
from payment_gateway.store import audit_log, merchants
from payment_gateway.store.merchants import LiveKey
from platform_kit.ids import new_id

KEY_PREFIX = "sk_test_"  # sandbox only: there is no live channel here


@dataclass(frozen=True, slots=True)
class NewMerchant:
    """`api_key` is shown this once; only its hash is stored."""

    id: str
    name: str
    country: str
    api_key: str


async def create_merchant(
    deps: Deps, name: str, country: str, by: Actor = THE_PLATFORM, *, mcc: str | None = None
) -> NewMerchant:
    """A merchant with one API key of 256 random bits, pinned to the API version of today."""
    merchant = NewMerchant(new_id("mer"), name, country, new_key())
    made = {"name": name, "country": country, "mcc": mcc, "api_version": CURRENT}
    async with deps.engine.begin() as connection:
        stored = await merchants.insert(connection, merchant.id, name, country, mcc, CURRENT)
        await merchants.insert_key(connection, new_id("key"), merchant.id, hash_key(merchant.api_key))
        await audit_log.record(connection, by, Entry("merchant.created", merchant.id, merchant.id, made))
        await tell_merchant(connection, CREATED, stored, deps.clock.now())
    return merchant


async def find_key(deps: Deps, api_key: str) -> LiveKey | None:
    """The live key that this is."""
    async with deps.engine.connect() as connection:
        return await merchants.find_by_key(connection, hash_key(api_key))


async def when_it_ended(deps: Deps, api_key: str) -> datetime | None:
    """Since when this key has been expired or revoked; None when it never was one of ours."""
    async with deps.engine.connect() as connection:
        return await merchants.when_it_ended(connection, hash_key(api_key))


def new_key() -> str:
    """A key of 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def hash_key(api_key: str) -> bytes:
    """A fast hash is right for a key of 256 random bits: there is nothing to guess (ASVS 11.5.1 asks for 128)."""
    return hashlib.blake2b(api_key.encode(), digest_size=32).digest()
