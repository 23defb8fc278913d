"""Keep what became known of payments: uploaded lists here, cases and the gateway's events where they come in."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from platform_kit.events import Event
from platform_kit.problems import Problem
from risk_engine.domain.labels import Label, LabelKind, LabelSource
from risk_engine.operations.deps import Deps
from risk_engine.store import labels

GATEWAY: Final = "system:payment-gateway"  # the actor of what its events tell
FRAUD_WORDS: Final = frozenset({"fraud", "fraudulent"})  # of a dispute's or refund's reason
_DISPUTES: Final[Mapping[str, LabelKind]] = {
    "dispute.opened.v1": LabelKind.FRAUD,
    "dispute.lost.v1": LabelKind.FRAUD,
    "dispute.won.v1": LabelKind.LEGITIMATE,  # the bank takes it back
}


def label_of(event: Event) -> Label | None:
    """The label that one of the gateway's events tells: a dispute for fraud and how it ended, a refund as fraud.

    Raises KeyError or TypeError for an event that is not what the contract says."""
    if event.type in _DISPUTES:
        told, kind, source = event.data["dispute"], _DISPUTES[event.type], LabelSource.DISPUTE
    elif event.type == "refund.created.v1":
        told, kind, source = event.data["refund"], LabelKind.FRAUD, LabelSource.REFUND_FRAUD
    else:
        return None
    if (told["reason"] or "").strip().casefold() not in FRAUD_WORDS:
        return None
    payment: Mapping[str, Any] = event.data["payment"]
    return Label(
        payment_id=payment["id"],
        kind=kind,
        source=source,
        event_at=event.occurred_at,
        actor=GATEWAY,
        assessment_id=(payment["risk"] or {}).get("assessment_id"),
    )


class AnotherPayment(Problem):
    status, code, title = 422, "another-payment", "The assessment is of another payment, or of none"


async def upload_labels(deps: Deps, given: Sequence[Label | Problem]) -> list[dict[str, Any]]:
    """One answer for each, in order: 201 with the id of a new label, 200 for what was known already, or the problem of
    one that is refused, which costs the others nothing."""
    wanted = [one.assessment_id for one in given if isinstance(one, Label) and one.assessment_id]
    async with deps.engine.begin() as conn:
        payments = await labels.payments_of(conn, wanted) if wanted else {}
        checked = [_checked(one, payments) for one in given]
        ids = iter(await labels.add(conn, [one for one in checked if isinstance(one, Label)]))
    return [_answer(one, next(ids) if isinstance(one, Label) else None) for one in checked]


def _checked(one: Label | Problem, payments: Mapping[str, str]) -> Label | Problem:
    if isinstance(one, Label) and one.assessment_id and payments.get(one.assessment_id) != one.payment_id:
        return AnotherPayment("Send the assessment that the payment carries in `risk`, or none.")
    return one


def _answer(one: Label | Problem, label_id: str | None) -> dict[str, Any]:
    if isinstance(one, Problem):
        return {"status": one.status, "problem": one.body(None, None)}
    return {"status": 201 if label_id else 200, "label_id": label_id}


async def list_labels(
    deps: Deps,
    *,
    known_at: datetime | None,
    payment_id: str | None,
    source: LabelSource | None,
    cursor: str | None,
    limit: int,
) -> dict[str, Any]:
    """A page of the labels that were known at `known_at` (now), oldest first, and the cursor of the next one."""
    async with deps.engine.connect() as conn:
        rows = await labels.known(
            conn,
            known_at or deps.clock.now(),
            payment_id=payment_id,
            source=source,
            after=cursor,
            limit=limit + 1,
        )
    return {"data": rows[:limit], "next_cursor": rows[limit - 1]["id"] if len(rows) > limit else None}
