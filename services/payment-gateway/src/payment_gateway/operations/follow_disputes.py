"""Two jobs about disputes: evidence that never came loses them, and channels are told what merchants answered."""

from __future__ import annotations

from dataclasses import replace

from payment_gateway.domain import dispute as machine
from payment_gateway.domain.dispute import Dispute, DisputeChange, DisputeEvent, DisputeStatus
from payment_gateway.domain.payment import Payment
from payment_gateway.operations.change_dispute import commit_of_change
from payment_gateway.operations.deps import Deps
from payment_gateway.store import disputes, payments
from payment_gateway.store.commit import Done, Locked
from platform_kit import canonical

PER_RUN = 50


async def expire_disputes(deps: Deps) -> int:
    """Lose the disputes whose evidence is overdue; returns how many."""
    async with deps.engine.connect() as connection:
        overdue = await disputes.run_out(connection, PER_RUN)
    lost = [await _run_out(deps, dispute) for dispute in overdue]
    canonical.add(disputes_run_out=sum(lost))
    return sum(lost)


async def _run_out(deps: Deps, dispute: Dispute) -> bool:
    async with deps.engine.connect() as connection:
        payment = await payments.get(connection, dispute.payment_id, dispute.merchant_id)
    assert payment is not None

    def change(locked: Dispute | None, held: Payment, seen: Locked) -> DisputeChange:
        assert locked is not None
        return machine.advanced(locked, held, DisputeEvent.RUN_OUT, seen.now, send_at=seen.now)

    return isinstance(await deps.committer.submit(commit_of_change(payment, dispute.id, change)), Done)


async def send_dispute_answers(deps: Deps) -> int:
    """Tell channels what merchants answered; what does not arrive is sent again. Returns how many arrived."""
    async with deps.engine.begin() as connection:
        waiting = await disputes.claim_to_send(connection, PER_RUN)
    told = 0
    for dispute in waiting:
        path = "accept" if dispute.status is DisputeStatus.LOST else "evidence"
        evidence = await deps.subjects.opened(dispute.merchant_id, dispute.evidence)
        told_bank = replace(dispute, evidence=evidence)
        if await deps.banking.answer_dispute(told_bank, path):
            told += 1
            async with deps.engine.begin() as connection:
                await disputes.sent(connection, dispute.id)
    canonical.add(dispute_answers_sent=told)
    return told
