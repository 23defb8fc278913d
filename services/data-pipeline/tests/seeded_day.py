"""A simulated hour for pages and screenshots: every status, decision and break class, always the same."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pipeline_rig import (
    TERMS,
    World,
    a_journal,
    a_line,
    a_payment,
    an_assessment,
    an_attempt,
    an_event,
    ingest,
)

from data_pipeline.clients.event_sources import PAYMENTS, RISK
from data_pipeline.domain.settlement import SettlementLine, SettlementType
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.reconcile_day import ReconcileDay, reconcile_day
from data_pipeline.operations.watch_heads import watch_heads
from platform_kit.clock import isoformat
from platform_kit.outbox import Event

SEEDED = 150  # payments: enough for every status and decision; pages look the same with more
REASONS = [
    {"code": "velocity_card_10m", "text": "Seven payments with this card in ten minutes"},
    {"code": "country_mismatch", "text": "The IP address is in another country than the card"},
    {"code": "score_high", "text": "The model's score is 87 of 100"},
]
# (share, status, decision, score): shares as a merchant with ordinary traffic sees them.
OUTCOMES = [
    (0.75, "captured", "allow", 12),
    (0.05, "authorised", "allow", 18),
    (0.09, "declined", "allow", 25),
    (0.03, "captured", "challenge", 48),
    (0.03, "captured", "review", 64),
    (0.03, "declined", "block", 87),
    (0.02, "unknown", "allow", 15),
]
CURRENCIES = [("EUR", 6), ("USD", 3), ("JPY", 1), ("KWD", 1)]


@dataclass
class Seeded:
    """What was told to the warehouse."""

    payments: list[Event]
    assessments: list[Event]
    lines: list[SettlementLine]


def simulate(now: datetime, count: int = SEEDED, seed: int = 7) -> Seeded:
    """`count` payments over the last hour before `now`, busier towards its end."""
    dice = random.Random(seed)
    seeded = Seeded([], [], [])
    ages_s = sorted((3500 * dice.random() ** 1.6 for _ in range(count)), reverse=True)
    for number, age_s in enumerate(ages_s, start=1):
        _one_payment(seeded, dice, number, now - timedelta(seconds=age_s + 2))
    return seeded


def _one_payment(seeded: Seeded, dice: random.Random, number: int, at: datetime) -> None:
    _, status, decision, score = dice.choices(OUTCOMES, [share for share, *_ in OUTCOMES])[0]
    currency = dice.choices([code for code, _ in CURRENCIES], [weight for _, weight in CURRENCIES])[0]
    amount = (
        {"JPY": 100, "KWD": 10}.get(currency, 1) * dice.randint(190, 24_900) // {"JPY": 100}.get(currency, 1)
    )
    is_wallet = decision == "allow" and dice.random() < 0.15
    told = _payment(number, status, decision, score, amount, currency, at, is_wallet)
    reasons = REASONS[: {"allow": 0, "challenge": 1, "review": 2, "block": 3}[decision]]
    assessed = an_assessment(len(seeded.assessments) + 1, number, decision, score=score, reasons=reasons)
    seeded.assessments.append(replace(assessed, occurred_at=at - timedelta(milliseconds=9)))
    began = {
        "status": "processing",
        "authorised_minor": 0,
        "captured_minor": 0,
        "decline_code": None,
        "version": 1,
    }
    _tell(seeded, "payment.created.v1", told | began, at)
    done_at = at + timedelta(milliseconds=dice.lognormvariate(3.6, 0.6))
    took_money = told["captured_minor"] > 0
    _tell(
        seeded,
        f"payment.{status}.v1",
        told,
        done_at,
        journal=a_journal(number, amount, currency, channel=told["channel"]) if took_money else None,
        attempt=None if decision == "block" else _attempt(number, status, told["channel"]),
    )
    if took_money and not is_wallet:
        seeded.lines.append(_settled(number, amount, currency, at))
    if took_money and not is_wallet and dice.random() < 0.04:
        _refund(seeded, told, number, at + timedelta(seconds=1))


def _payment(
    number: int,
    status: str,
    decision: str,
    score: int,
    amount: int,
    currency: str,
    at: datetime,
    is_wallet: bool,
) -> dict[str, Any]:
    took_money = status == "captured"
    return a_payment(
        number,
        status=status,
        amount_minor=amount,
        currency=currency,
        authorised_minor=amount if status in ("captured", "authorised") else 0,
        captured_minor=amount if took_money else 0,
        method={"type": "wallet"} if is_wallet else {"type": "card", "token_hint": "tok_visa"},
        channel=None if decision == "block" else "wallet_sim" if is_wallet else "card_sim",
        decline_code={"block": "blocked_by_risk"}.get(decision, "insufficient_funds")
        if status == "declined"
        else None,
        risk={
            "assessment_id": f"asm_{number:026d}",
            "decision": decision,
            "score": score,
            "reasons": [],
            "fallback": False,
        },
        created_at=isoformat(at),
        updated_at=isoformat(at),
    )


def _attempt(number: int, status: str, channel: str) -> dict[str, Any]:
    outcome = {"captured": "succeeded", "authorised": "succeeded"}.get(status, status)
    return an_attempt(number) | {"operation": "authorise", "outcome": outcome, "channel": channel}


def _refund(seeded: Seeded, told: dict[str, Any], number: int, at: datetime) -> None:
    amount = told["captured_minor"] // 2 or 1
    refund = {
        "id": f"rf_{number:026d}",
        "payment_id": told["id"],
        "amount_minor": amount,
        "currency": told["currency"],
        "status": "succeeded",
        "reason": "requested_by_customer",
        "created_at": isoformat(at),
    }
    _tell(
        seeded,
        "refund.succeeded.v1",
        told | {"refunded_minor": amount, "version": 3},
        at,
        refund=refund,
        journal=a_journal(number, amount, told["currency"], refund=True),
        attempt=an_attempt(number, "refund"),
    )
    line = {
        "channel_reference": f"ch_refund_{number}",
        "channel_key": f"att_refund_{number:020d}",
        "type": "refund",
    }
    seeded.lines.append(_settled(number, amount, told["currency"], at, **line, fee_minor=0))


def _settled(number: int, amount: int, currency: str, at: datetime, **changes: Any) -> SettlementLine:
    agreed = TERMS["card_sim"].fee_minor(SettlementType.CHARGE, amount, currency)
    fee = changes.pop("fee_minor", agreed)
    return a_line(
        number, amount_minor=amount, currency=currency, fee_minor=fee, settled_on=at.date(), **changes
    )


def _tell(seeded: Seeded, type_: str, payment: dict[str, Any], at: datetime, **parts: Any) -> None:
    seeded.payments.append(an_event(len(seeded.payments) + 1, type_, payment=payment, at=at, **parts))


async def fill(deps: Deps, world: World, now: datetime, *, count: int = SEEDED) -> Seeded:
    """Ingest the hour, let the producers say that this was all, reconcile with some breaks put in."""
    seeded = simulate(now, count)
    await ingest(deps.engine, seeded.payments, PAYMENTS)
    await ingest(deps.engine, seeded.assessments, RISK)
    world.heads = {"gateway": len(seeded.payments), "risk": len(seeded.assessments)}
    await watch_heads(deps)
    world.settle(with_breaks([line for line in seeded.lines if line.settled_on == now.date()]), now.date())
    await reconcile_day(deps, ReconcileDay("card_sim", now.date()))
    return seeded


def with_breaks(lines: list[SettlementLine]) -> list[SettlementLine]:
    """One break of each of four classes."""
    _missing, wrong, *rest = lines
    doubled = rest[0]
    unknown = replace(
        doubled, channel_reference="ch_unknown_1", channel_key="att_unknown_1", amount_minor=9900
    )
    return [replace(wrong, amount_minor=wrong.amount_minor + 100), *rest, doubled, unknown]


def told_by_gateway(payment: dict[str, Any], at: datetime) -> dict[str, Any]:
    """What the gateway adds to the events of a refunded payment."""
    return {
        "payment": payment | {"disputed_minor": 0, "fee_minor": 66, "fee_returned_minor": 0},
        "routes": [
            {
                "attempt_id": "att_1",
                "decided_at": isoformat(at + timedelta(milliseconds=11)),
                "channel": "card_sim",
                "reason": "costs 43 EUR minor",
                "rule": "cheapest card channel",
                "candidates": [
                    {"channel": "card_sim", "reason": "costs 43 EUR minor"},
                    {"channel": "card_sim_2", "reason": "breaker open or not deployed"},
                ],
            }
        ],
        "attempts": [],
        "deliveries": [
            {
                "id": "dlv_1",
                "event_type": "payment.captured.v1",
                "url": "https://shop.example/hooks",
                "status": "delivered",
                "attempt_count": 2,
                "last_status_code": 204,
                "last_error": None,
                "created_at": isoformat(at + timedelta(milliseconds=90)),
                "delivered_at": isoformat(at + timedelta(seconds=31)),
            }
        ],
        "acts": [
            {
                "action": "payment.refund",
                "operator": "ada",
                "details": {"reason": "Half of the order was out of stock"},
                "created_at": isoformat(at + timedelta(milliseconds=950)),
            }
        ],
    }
