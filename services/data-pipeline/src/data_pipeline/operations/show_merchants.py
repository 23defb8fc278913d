"""Merchants: which ones there are, and what one was called and under which terms, when."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from data_pipeline.domain.payment_filter import PaymentFilter
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.list_payments import list_payments
from data_pipeline.store import balances
from data_pipeline.store import merchants as merchant_store
from platform_kit.ids import is_id
from platform_kit.problems import NotFound

PAGE: Final = 50
VERSIONS_SHOWN: Final = 100
LATEST: Final = 8  # payments
ACCOUNTS_MAX: Final = 60  # of one merchant: a handful of kinds in each of its currencies
_TERMS: Final = (
    "name",
    "country",
    "mcc",
    "is_disabled",
    "settlement_delay_days",
    "settlement_currency",
    "fee_plan",
    "reserve_basis_points",
    "reserve_days",
    "api_version",
)


@dataclass(frozen=True, slots=True)
class Version:
    """What was in force for a while, and which parts of it the version before did not have."""

    told: Mapping[str, Any]
    changed: frozenset[str]


@dataclass(frozen=True, slots=True)
class MerchantStory:
    """A merchant now and before, newest first; `is_whole` says whether older versions were left out."""

    merchant_id: str
    versions: Sequence[Version]
    is_whole: bool
    accounts: list[dict[str, Any]]
    payments: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class MerchantPage:
    merchants: list[dict[str, Any]]
    rest: tuple[str, str] | None


async def list_merchants(deps: Deps, wanted: str, after: tuple[str, str] | None = None) -> MerchantPage:
    """By name; `wanted` is a part of a name or of an id."""
    async with deps.engine.connect() as conn:
        found = await merchant_store.current(conn, wanted, after, PAGE + 1)
    last = found[PAGE - 1] if len(found) > PAGE else None
    return MerchantPage(found[:PAGE], (last["name"], last["merchant_id"]) if last else None)


async def show_merchant(deps: Deps, merchant_id: str) -> MerchantStory:
    """Raises NotFound. A merchant that was never told of is one all the same once it has a payment."""
    if not is_id("mer", merchant_id):
        raise NotFound("This is not the id of a merchant.")
    story, latest = await asyncio.gather(
        _told(deps, merchant_id), list_payments(deps, PaymentFilter(merchant_id=merchant_id), limit=LATEST)
    )
    told, accounts = story
    if not (told or accounts or latest.payments):
        raise NotFound("No event has told of this merchant here.")
    return MerchantStory(
        merchant_id,
        versions_of(told[:VERSIONS_SHOWN]),
        len(told) <= VERSIONS_SHOWN,
        accounts,
        latest.payments,
    )


async def _told(deps: Deps, merchant_id: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    async with deps.engine.connect() as conn:
        await conn.execution_options(isolation_level="REPEATABLE READ")
        told = await merchant_store.versions(conn, merchant_id, VERSIONS_SHOWN + 1)
        accounts = await balances.accounts(
            conn,
            wanted=f"merchant:{merchant_id}:",
            account_class=None,
            currency=None,
            after=None,
            limit=ACCOUNTS_MAX,
        )
    return told, accounts


def versions_of(told: Sequence[Mapping[str, Any]]) -> list[Version]:
    """Each with what changed from the one before it; of the oldest shown nothing did."""
    earlier = [*told[1:], *told[-1:]]
    return [
        Version(now, frozenset(name for name in _TERMS if now[name] != before[name]))
        for now, before in zip(told, earlier, strict=True)
    ]
