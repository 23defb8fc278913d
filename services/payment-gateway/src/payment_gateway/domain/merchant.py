"""A merchant, and what is shown of one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from platform_kit.clock import isoformat


@dataclass(frozen=True, slots=True)
class StoredMerchant:
    """`country` is ISO 3166-1 alpha-2; `mcc` is its category by ISO 18245, None when nobody said it."""

    id: str
    name: str
    country: str
    mcc: str | None
    api_version: str
    disabled_at: datetime | None
    created_at: datetime


def merchant_object(merchant: StoredMerchant) -> dict[str, Any]:
    """What is shown of a merchant."""
    disabled_at = merchant.disabled_at
    return {
        "id": merchant.id,
        "object": "merchant",
        "name": merchant.name,
        "country": merchant.country,
        "mcc": merchant.mcc,
        "api_version": merchant.api_version,
        "disabled_at": isoformat(disabled_at) if disabled_at else None,
        "created_at": isoformat(merchant.created_at),
    }
