"""Refund a captured payment, in one part or several: the amount is reserved before the channel is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from payment_gateway.domain import payment as machine
from payment_gateway.domain.attempt import Attempt, Operation
from payment_gateway.domain.payment import Payment
from payment_gateway.domain.refund import Refund
from payment_gateway.operations.answer_request import Answer
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.events import payment_event
from payment_gateway.operations.mark_and_ask import Act, mark_and_ask
from payment_gateway.store import refunds
from payment_gateway.store.commit import Commit, Done, Effects, Locked
from platform_kit.ids import new_id


async def update_refund(deps: Deps, refund: Refund, metadata: Mapping[str, str]) -> Refund:
    """The refund with other metadata; what is said of it last holds, so no key is needed."""

    def decide(locked: Locked) -> Effects:
        return Effects(rows=((refunds, replace(locked.rows[refund.id], metadata=metadata)),))

    done = await deps.committer.submit(Commit(decide, also=((refunds, refund.id),)))
    assert isinstance(done, Done)
    changed: Refund = done.rows[refund.id]
    return changed


async def refund_payment(deps: Deps, act: Act) -> Answer:
    """201 with the refund. Raises what `mark_and_ask` raises."""
    plan = await deps.terms.fee_plan_of(act.merchant_id)
    returns_fee = plan is not None and plan.returns_on_refund

    def mark(payment: Payment, attempt: Attempt, locked: Locked) -> Effects:
        reserved, parts = machine.refund_reserved(
            payment, act.amount_minor, locked.now, returns_fee=returns_fee
        )
        refund = Refund(
            id=new_id("rf"),
            payment_id=payment.id,
            merchant_id=payment.merchant_id,
            amount_minor=parts.amount_minor,
            fee_returned_minor=parts.fee_returned_minor,
            surcharge_minor=parts.surcharge_minor,
            currency=payment.currency,
            created_at=locked.now,
            reason=act.reason if act.by is None else None,  # an operator's is for the audit log
            metadata=act.metadata,
        )
        asked = replace(
            attempt,
            amount_minor=parts.amount_minor,
            surcharge_minor=parts.surcharge_minor,
            refund_id=refund.id,
        )
        created = payment_event("refund.created.v1", reserved, refund=refund, attempt=asked)
        return Effects(payment=reserved, rows=((refunds, refund),), attempt=asked, events=(created,))

    return await mark_and_ask(deps, act, Operation.REFUND, mark)
