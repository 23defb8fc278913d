"""Compare what the shop was told with what the witnesses say. Pure: values in, findings out.

Lost: money or a payment that one side has and another lacks. Doubled: an order that was charged twice, an answer that
exists twice. Stuck: a payment without an end.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from platform_cli.demo.drive import WAITING, Journey
from platform_cli.demo.witnesses import Evidence


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be. `kind`: lost, doubled, stuck, wrong."""

    kind: str
    what: str


def audit(journeys: Sequence[Journey], evidence: Evidence) -> list[Finding]:
    """Every difference between the witnesses; an empty list is the proof.

    Since the mark of the evidence, the shop of the journeys must have been the only one that paid.
    """
    return [
        *_acknowledged_is_kept(journeys, evidence),
        *_no_order_twice(journeys, evidence),
        *_channel_agrees(evidence),
        *_no_charge_without_payment(evidence),
        *_all_have_ended(journeys, evidence),
        *_replays_are_equal(journeys),
        *_events_are_complete(evidence),
        *_warehouse_agrees(evidence),
        *_reconciliations_balance(evidence),
    ]


def count(findings: Sequence[Finding], kind: str) -> int:
    return sum(finding.kind == kind for finding in findings)


def _acknowledged_is_kept(journeys: Sequence[Journey], evidence: Evidence) -> Iterator[Finding]:
    """What the shop was told is what the gateway has: the payment, its state, its amounts."""
    for journey in journeys:
        if journey.payment_id is None:
            continue
        kept = evidence.payments.get(journey.payment_id)
        if kept is None:
            yield Finding("lost", f"{journey.order.order}: {journey.payment_id} was acknowledged and is gone")
            continue
        for name in ("amount_minor", "currency", "captured_minor", "refunded_minor", "status"):
            if kept[name] != journey.told[name]:
                yield Finding(
                    "lost", f"{journey.payment_id}: told {name} {journey.told[name]}, kept {kept[name]}"
                )


def _no_order_twice(journeys: Sequence[Journey], evidence: Evidence) -> Iterator[Finding]:
    ours = {journey.order.order for journey in journeys}
    ids = {journey.payment_id for journey in journeys}
    counted = Counter(payment["reference"] for payment in evidence.payments.values() if payment["id"] in ids)
    strangers = [
        payment["id"]
        for payment in evidence.payments.values()
        if payment["reference"] in ours and payment["id"] not in ids
    ]
    yield from (
        Finding("doubled", f"{order} has {number} payments")
        for order, number in counted.items()
        if number > 1
    )
    known_unanswered = {journey.order.order for journey in journeys if journey.payment_id is None}
    for payment_id in strangers:
        if evidence.payments[payment_id]["reference"] not in known_unanswered:
            yield Finding("doubled", f"{payment_id} is a second payment of its order")


def _channel_agrees(evidence: Evidence) -> Iterator[Finding]:
    """The channel took exactly what the gateway says was captured, and gave back what it says was refunded."""
    for payment in evidence.payments.values():
        record = evidence.charges.get(authorisation_key(payment["id"]))
        charged, refunded = (record.charged_minor, record.refunded_minor) if record else (0, 0)
        if charged > payment["captured_minor"]:
            yield Finding(
                "doubled", f"{payment['id']}: charged {charged}, captured {payment['captured_minor']}"
            )
        if charged < payment["captured_minor"]:
            yield Finding(
                "lost", f"{payment['id']}: captured {payment['captured_minor']}, charged only {charged}"
            )
        if refunded != payment["refunded_minor"]:
            yield Finding(
                "wrong", f"{payment['id']}: refunded {payment['refunded_minor']}, the channel {refunded}"
            )


def _no_charge_without_payment(evidence: Evidence) -> Iterator[Finding]:
    known = {authorisation_key(payment_id) for payment_id in evidence.payments}
    for key, record in evidence.charges.items():
        if key not in known and record.charged_minor:
            yield Finding(
                "lost", f"the channel charged {record.charged_minor} under {key}, which no payment has"
            )


def _all_have_ended(journeys: Sequence[Journey], evidence: Evidence) -> Iterator[Finding]:
    for journey in journeys:
        if journey.trouble:
            yield Finding("stuck", f"{journey.order.order}: {journey.trouble}")
        elif journey.refused is not None:
            yield Finding("wrong", f"{journey.order.order} was refused: {journey.refused.get('title')}")
    for payment in evidence.payments.values():
        if payment["status"] in WAITING:
            yield Finding("stuck", f"{payment['id']} is still {payment['status']}")


def _replays_are_equal(journeys: Sequence[Journey]) -> Iterator[Finding]:
    for journey in journeys:
        if journey.replay_is_equal is False:
            yield Finding("doubled", f"{journey.order.order}: the replay gave another answer")


def _events_are_complete(evidence: Evidence) -> Iterator[Finding]:
    """Positions have no hole and no double, and each payment has its first and its last event exactly once."""
    first = evidence.since.position + 1
    if evidence.positions != list(range(first, first + len(evidence.positions))):
        yield Finding(
            "lost", f"the positions of {len(evidence.positions)} events from {first} on have holes or doubles"
        )
    for payment in evidence.payments.values():
        events = evidence.events_by_payment.get(payment["id"], Counter())
        final = {"captured": "payment.captured.v1", "declined": "payment.declined.v1"}.get(payment["status"])
        if final and events[final] != 1:
            yield Finding(
                "lost" if not events[final] else "doubled", f"{payment['id']}: {events[final]} x {final}"
            )
    if evidence.warehouse["position"] < evidence.warehouse["head"]:
        yield Finding(
            "lost", f"the warehouse holds {evidence.warehouse['position']} of {evidence.warehouse['head']}"
        )


def _warehouse_agrees(evidence: Evidence) -> Iterator[Finding]:
    """Money moved by currency: the ledger's own sum and the sum of what the events told."""
    ours = {currency: moved for currency, moved in evidence.gateway_ledger.items() if moved}
    if ours != evidence.warehouse_ledger:
        yield Finding("wrong", f"ledger moved {ours}, the warehouse says {dict(evidence.warehouse_ledger)}")


def _reconciliations_balance(evidence: Evidence) -> Iterator[Finding]:
    for run in evidence.reconciliations:
        if run["state"] != "balanced":
            yield Finding(
                "wrong", f"{run['channel']} {run.get('day') or run.get('date')}: {run['break_count']} breaks"
            )


def authorisation_key(payment_id: str) -> str:
    """The gateway's key at the channel is named after the payment."""
    return "att_" + payment_id.removeprefix("pay_")
