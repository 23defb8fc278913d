"""Compare what a shop was told with what the witnesses say. Pure: values in, findings out.

A witness that was not asked (None in the evidence) proves nothing and is not compared; `Evidence.silent` names it.

Lost: money or a payment that one side has and another lacks. Doubled: an order that was charged twice, an answer that
exists twice. Stuck: a payment without an end.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from platform_cli.audit.witnesses import Evidence

WAITING = frozenset({"processing", "unknown", "requires_action"})
TOLD = ("amount_minor", "currency", "captured_minor", "refunded_minor", "status")


class Claim(Protocol):
    """What a shop says of one thing that it wanted to be paid."""

    @property
    def reference(self) -> str:
        """The shop's own name for it, which is in the payment too. One has one payment."""

    @property
    def payment_id(self) -> str | None:
        """None: the shop was never told of a payment."""

    @property
    def told(self) -> Mapping[str, Any]:
        """The newest payment object that it was given; what is not in it (of TOLD) is not compared."""

    @property
    def trouble(self) -> str | None:
        """Why it has no end, if it has none."""

    @property
    def refused(self) -> Mapping[str, Any] | None:
        """The problem with which it was refused, although it should not have been."""

    @property
    def replay_is_equal(self) -> bool | None:
        """None: it was not repeated."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be. `kind`: lost, doubled, stuck, wrong."""

    kind: str
    what: str


def audit(claims: Sequence[Claim], evidence: Evidence) -> list[Finding]:
    """Every difference between the witnesses; an empty list is the proof.

    `evidence.payments` are the shop's own. Others may have paid meanwhile: then their payments are known by their
    events, and the sums of ledger and warehouse include them.
    """
    return [
        *_acknowledged_is_kept(claims, evidence),
        *_no_order_twice(claims, evidence),
        *_channel_agrees(evidence),
        *_no_charge_without_payment(evidence),
        *_all_have_ended(claims, evidence),
        *_replays_are_equal(claims),
        *_events_are_complete(evidence),
        *_warehouse_agrees(evidence),
        *_reconciliations_balance(evidence),
    ]


def count(findings: Sequence[Finding], kind: str) -> int:
    return sum(finding.kind == kind for finding in findings)


def _acknowledged_is_kept(claims: Sequence[Claim], evidence: Evidence) -> Iterator[Finding]:
    """What the shop was told is what the gateway has: the payment, its state, its amounts."""
    for claim in claims:
        if claim.payment_id is None:
            continue
        kept = evidence.payments.get(claim.payment_id)
        if kept is None:
            yield Finding("lost", f"{claim.reference}: {claim.payment_id} was acknowledged and is gone")
            continue
        for name in TOLD:
            if name in claim.told and kept[name] != claim.told[name]:
                yield Finding(
                    "lost", f"{claim.payment_id}: told {name} {claim.told[name]}, kept {kept[name]}"
                )


def _no_order_twice(claims: Sequence[Claim], evidence: Evidence) -> Iterator[Finding]:
    ours = {claim.reference for claim in claims}
    ids = {claim.payment_id for claim in claims}
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
    known_unanswered = {claim.reference for claim in claims if claim.payment_id is None}
    for payment_id in strangers:
        if evidence.payments[payment_id]["reference"] not in known_unanswered:
            yield Finding("doubled", f"{payment_id} is a second payment of its order")


def _channel_agrees(evidence: Evidence) -> Iterator[Finding]:
    """The channel took exactly what the gateway says was captured, and gave back what it says was refunded."""
    if evidence.charges is None:
        return
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
    if evidence.charges is None:
        return
    known = {authorisation_key(payment_id) for payment_id in {*evidence.payments, *evidence.of_others}}
    for key, record in evidence.charges.items():
        if key not in known and record.charged_minor:
            yield Finding(
                "lost", f"the channel charged {record.charged_minor} under {key}, which no payment has"
            )


def _all_have_ended(claims: Sequence[Claim], evidence: Evidence) -> Iterator[Finding]:
    for claim in claims:
        if claim.trouble:
            yield Finding("stuck", f"{claim.reference}: {claim.trouble}")
        elif claim.refused is not None:
            yield Finding("wrong", f"{claim.reference} was refused: {claim.refused.get('title')}")
    for payment in evidence.payments.values():
        if payment["status"] in WAITING:
            yield Finding("stuck", f"{payment['id']} is still {payment['status']}")


def _replays_are_equal(claims: Sequence[Claim]) -> Iterator[Finding]:
    for claim in claims:
        if claim.replay_is_equal is False:
            yield Finding("doubled", f"{claim.reference}: the replay gave another answer")


def _events_are_complete(evidence: Evidence) -> Iterator[Finding]:
    """Positions have no hole and no double, and each payment has its first and its last event exactly once."""
    if evidence.positions is None:
        return
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
    if evidence.warehouse and evidence.warehouse["position"] < evidence.warehouse["head"]:
        yield Finding(
            "lost", f"the warehouse holds {evidence.warehouse['position']} of {evidence.warehouse['head']}"
        )


def _warehouse_agrees(evidence: Evidence) -> Iterator[Finding]:
    """Money moved by currency: the ledger's own sum and the sum of what the events told."""
    if evidence.gateway_ledger is None or evidence.warehouse_ledger is None:
        return
    if evidence.gateway_ledger != evidence.warehouse_ledger:
        ours, theirs = dict(evidence.gateway_ledger), dict(evidence.warehouse_ledger)
        yield Finding("wrong", f"ledger moved {ours}, the warehouse says {theirs}")


def _reconciliations_balance(evidence: Evidence) -> Iterator[Finding]:
    for run in evidence.reconciliations:
        if run["state"] != "balanced":
            yield Finding(
                "wrong", f"{run['channel']} {run.get('day') or run.get('date')}: {run['break_count']} breaks"
            )


def authorisation_key(payment_id: str) -> str:
    """The gateway's key at the channel is named after the payment."""
    return "att_" + payment_id.removeprefix("pay_")
