"""What must be true after the load of `make bench-payments`; otherwise its figures are not of what they claim to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg
import orjson

_KEPT = """
    SELECT p.id, p.status, p.captured_minor, p.risk ->> 'assessment_id' AS assessment_id,
           count(t.id) FILTER (WHERE t.kind = 'posted') AS transfers
      FROM payments.payment p LEFT JOIN payments.transfer t ON t.payment_id = p.id
     GROUP BY p.id
"""


async def audit(
    admin_url: str, journals: Path, acknowledged: Mapping[str, int], ledger: Mapping[str, Any]
) -> tuple[list[str], dict[str, int]]:
    """Differences in words, and how much of what was compared.

    `acknowledged`: payment id -> captured minor units, as the client was told; `ledger`: the gateway's verification.
    """
    connection = await asyncpg.connect(admin_url)
    try:
        kept = {row["id"]: row for row in await connection.fetch(_KEPT)}
    finally:
        await connection.close()
    charged = _charged(journals)
    per_payment = {row["transfers"] for row in kept.values() if row["status"] == "captured"}
    found = {
        "acknowledged and not captured in full": sum(
            payment_id not in kept
            or kept[payment_id]["status"] != "captured"
            or kept[payment_id]["captured_minor"] != minor
            for payment_id, minor in acknowledged.items()
        ),
        "acknowledged and not charged exactly once": sum(
            charged[_channel_key(payment_id)] != 1 for payment_id in acknowledged
        ),
        "charged and not kept": len(charged.keys() - {_channel_key(payment_id) for payment_id in kept}),
        "kept and not acknowledged": len(kept.keys() - acknowledged.keys()),
        "decided by the fallback instead of the risk engine": sum(
            row["assessment_id"] is None for row in kept.values()
        ),
        "posted with another number of transfers than the rest": max(0, len(per_payment) - 1)
        + (0 in per_payment),
        "ledger out of balance": int(not ledger["balanced"]),
    }
    counts = {
        "acknowledged": len(acknowledged),
        "kept": len(kept),
        "charges": charged.total(),
        "transfers": sum(row["transfers"] for row in kept.values()),
    }
    return [f"{number} {what}" for what, number in found.items() if number], counts


def _charged(journals: Path) -> Counter[str]:
    """Charges by the channel's key, read from the journal files themselves: they are the witness outside."""
    charges: Counter[str] = Counter()
    for file in journals.iterdir():
        for raw in file.read_bytes().splitlines():
            line = orjson.loads(raw)
            if line.get("charged_minor"):
                charges[line["key"]] += 1
    return charges


def _channel_key(payment_id: str) -> str:
    """The gateway's key at the channel is named after the payment."""
    return "att_" + payment_id.removeprefix("pay_")
