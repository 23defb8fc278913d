"""Merchants' fee plans as the hot path sees them: asked for once a few seconds, not once a payment."""

from __future__ import annotations

import time
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from payment_gateway.domain.fees import FeePlan
from payment_gateway.store import terms
from platform_kit.committer import NotCommitted

CACHE_S: Final = 5.0  # a changed plan counts for captures from then on, in every process
CACHED_MAX: Final = 10_000


class TermsCache:
    """Read-through, per process."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._known: dict[str, tuple[float, FeePlan | None]] = {}

    async def fee_plan_of(self, merchant_id: str) -> FeePlan | None:
        """At most CACHE_S old. Raises NotCommitted while Postgres is away."""
        known = self._known.get(merchant_id)
        if known is None or known[0] < time.monotonic():
            try:
                async with self._engine.connect() as connection:
                    plan = (await terms.get(connection, merchant_id)).fee_plan
            except (OSError, SQLAlchemyError) as error:
                raise NotCommitted() from error
            if len(self._known) >= CACHED_MAX:
                self._known.clear()
            known = self._known[merchant_id] = (time.monotonic() + CACHE_S, plan)
        return known[1]
