"""Which of the gateway's events are labels, and of what kind."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from risk_rig import NOON
from sqlalchemy import text

from platform_kit.outbox import Event
from risk_engine.domain.labels import Label, LabelKind, LabelSource
from risk_engine.operations.deps import Deps
from risk_engine.operations.record_labels import label_of, upload_labels
from risk_engine.store import labels


def an_event(kind: str, **data: Any) -> Event:
    payment = {"id": "pay_1", "risk": {"assessment_id": "asm_1", "decision": "allow"}}
    return Event("evt_1", kind, "pay_1", {"payment": payment} | data, NOON, "mer_1", None, 1)


@pytest.mark.parametrize(
    ("kind", "member", "reason", "label"),
    [
        ("dispute.opened.v1", "dispute", "fraudulent", ("fraud", "dispute")),
        ("dispute.opened.v1", "dispute", "product_not_received", None),
        ("dispute.lost.v1", "dispute", "fraudulent", ("fraud", "dispute")),
        ("dispute.won.v1", "dispute", "fraudulent", ("legitimate", "dispute")),
        ("dispute.won.v1", "dispute", "product_not_received", None),
        ("dispute.updated.v1", "dispute", "fraudulent", None),
        ("refund.created.v1", "refund", "fraudulent", ("fraud", "refund_fraud")),
        ("refund.created.v1", "refund", " Fraud ", ("fraud", "refund_fraud")),
        ("refund.created.v1", "refund", "no fraud, the size was wrong", None),
        ("refund.created.v1", "refund", None, None),
        ("refund.succeeded.v1", "refund", "fraudulent", None),
        ("payment.captured.v1", "refund", "fraudulent", None),
    ],
)
def test_a_label_is_what_somebody_said_about_fraud(
    kind: str, member: str, reason: str | None, label: tuple[str, str] | None
) -> None:
    found = label_of(an_event(kind, **{member: {"reason": reason}}))
    assert (found and (found.kind, found.source)) == (label and (LabelKind(label[0]), LabelSource(label[1])))
    if found is not None:
        assert (found.payment_id, found.assessment_id, found.event_at) == ("pay_1", "asm_1", NOON)
        assert found.labelled_at is None, "known when it is stored, not when it happened"


def test_a_payment_that_the_gateway_decided_alone_has_a_label_without_an_assessment() -> None:
    event = an_event(
        "dispute.opened.v1", dispute={"reason": "fraudulent"}, payment={"id": "pay_1", "risk": None}
    )
    found = label_of(event)
    assert found is not None
    assert found.assessment_id is None


def a_label(kind: LabelKind, payment: str = "pay_1") -> Label:
    return Label(payment, kind, LabelSource.UPLOAD, NOON, "ada")


async def test_what_was_said_after_a_late_comer_still_counts_after_it(deps: Deps) -> None:
    """Day 5 and day 10 say legitimate; then somebody tells what was known on day 7. Day 10 has the last word."""
    monday = NOON - timedelta(days=30)

    def on(day: int, kind: LabelKind) -> Label:
        return replace(a_label(kind), event_at=monday, labelled_at=monday + timedelta(days=day))

    five, ten = on(5, LabelKind.LEGITIMATE), on(10, LabelKind.LEGITIMATE)
    answers = await upload_labels(deps, [five, ten]) + await upload_labels(deps, [on(7, LabelKind.FRAUD)])
    assert [one["status"] for one in answers] == [201, 201, 201]
    assert [one["status"] for one in await upload_labels(deps, [ten, five])] == [200, 200]

    async def known(day: int) -> list[str]:
        async with deps.engine.connect() as conn:
            found = await labels.known(conn, monday + timedelta(days=day), limit=10)
        return [one["kind"] for one in found]

    assert [await known(day) for day in (4, 6, 8, 11)] == [[], ["legitimate"], ["fraud"], ["legitimate"]]


async def test_a_batch_is_compared_in_its_own_order(deps: Deps) -> None:
    """Fraud, taken back, fraud again: three things were said, and the last counts."""
    fraud, legitimate = a_label(LabelKind.FRAUD), a_label(LabelKind.LEGITIMATE)
    answers = await upload_labels(
        deps, [fraud, fraud, legitimate, a_label(LabelKind.FRAUD, "pay_2"), legitimate, fraud]
    )
    assert [one["status"] for one in answers] == [201, 200, 201, 201, 200, 201]
    async with deps.engine.connect() as conn:
        kinds = (
            await conn.scalars(text("SELECT kind FROM risk.label WHERE payment_id = 'pay_1' ORDER BY id"))
        ).all()
    assert kinds == ["fraud", "legitimate", "fraud"]
    assert [one["status"] for one in await upload_labels(deps, [fraud])] == [200]
