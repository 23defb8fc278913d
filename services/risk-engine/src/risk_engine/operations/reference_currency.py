"""The reference currency is one for good: sums of recent payments, amounts of cases and settings are counted in it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.problems import Problem
from risk_engine.store import rule_sets


class OtherCurrency(Problem):
    status, code, title = 409, "other-reference-currency", "The live rule set counts in another currency"


async def require_one_currency(conn: AsyncConnection, document: Mapping[str, Any]) -> None:
    """Raises OtherCurrency for a rule document that counts in another currency than the live one."""
    live = await rule_sets.live(conn)
    decides = await rule_sets.document(conn, live.rule_set) if live else None
    if decides and decides["reference_currency"] != document["reference_currency"]:
        raise OtherCurrency(
            f"Windows, cases and settings are in {decides['reference_currency']}: keep it, and change rates instead."
        )
