"""Close an idempotency key whose answer its client has lost, so that it need not guess (square-mcp-server#31: a retry
minted a new key, and the payer paid twice).

    the key never came    it is claimed with a refusal: a request that is still on its way finds it cancelled
    a payment of it       unknown: found out about now; held, unconfirmed or waiting for its payer: cancelled;
                          captured: shown, never refunded by itself
    anything else of it   the stored answer is shown

The claim decides, as between any two requests of one key: either the tombstone is there first, or the payment is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import orjson

from payment_gateway.domain.objects import payment_object
from payment_gateway.domain.payment import Payment, Status
from payment_gateway.operations.answer_request import CREATE_ROUTE
from payment_gateway.operations.cancel_payment import cancel_payment
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.find_payments import get_payment
from payment_gateway.operations.mark_and_ask import Act
from payment_gateway.operations.problems import stored_problem
from payment_gateway.operations.resolve_attempts import CLOSE_AFTER_TRIES, resolve
from payment_gateway.store import attempts
from payment_gateway.store.commit import AlreadyClaimed, Commit, Effects
from platform_kit.idempotency import CLOSED, Claim, IdempotencyKey, KeyInProgress, KeyRecord, StoredResponse
from platform_kit.ids import new_id
from platform_kit.problems import Problem

Route = Literal[
    "POST /v1/payments",
    "POST /v1/payments/{id}/confirm",
    "POST /v1/payments/{id}/capture",
    "POST /v1/payments/{id}/void",
    "POST /v1/payments/{id}/cancel",
    "POST /v1/payments/{id}/refund",
    "POST /v1/ledger/transfers",
]
"""Where a key counts, beside its merchant."""
ROUTES: Final = get_args(Route)

_GIVEN_UP: Final = frozenset(
    {Status.DECLINED, Status.FAILED, Status.CANCELLED, Status.VOIDED, Status.EXPIRED}
)
_TO_CANCEL: Final = frozenset(
    {
        Status.REQUIRES_PAYMENT_METHOD,
        Status.REQUIRES_CONFIRMATION,
        Status.REQUIRES_ACTION,
        Status.AUTHORISED,
    }
)
_KEPT: Final = frozenset({Status.CAPTURED, Status.PARTIALLY_CAPTURED})


class KeyCancelled(Problem):
    status, code, title = 409, "idempotency-key-cancelled", "This key was cancelled by its client"


@dataclass(frozen=True, slots=True)
class CancelKey:
    """The key that a merchant wants closed, and the route on which it was (or would have been) used."""

    merchant_id: str
    key: str
    route: str


async def cancel_key(deps: Deps, command: CancelKey) -> dict[str, Any]:
    """How the key stands: `cancelled` (nothing was taken under it, or all was given up), `finished` (it did what it
    shows), or `open` (not known yet: cancel it again). Repeating is harmless.

    Raises KeyInProgress and OperationInProgress while the key's request is at work, NoChannel, NotCommitted.
    """
    refusal = stored_problem(KeyCancelled("Nothing was done under it. Use a new key for a new request."))
    tombstone = Claim(f"{command.merchant_id} {command.route}", command.key, CLOSED, new_id("att"))
    result = await deps.committer.submit(Commit(lambda _: Effects(response=refusal), claim=tombstone))
    if not isinstance(result, AlreadyClaimed) or result.record.fingerprint == CLOSED:
        return _shown(command, "cancelled")
    if command.route != CREATE_ROUTE:
        return _as_stored(command, result.record)
    payment = await _given_up(deps, command.merchant_id, "pay_" + result.record.subject.removeprefix("att_"))
    if payment.status in _GIVEN_UP:
        return _shown(command, "cancelled", payment)
    return _shown(command, "finished" if payment.status in _KEPT else "open", payment)


async def _given_up(deps: Deps, merchant_id: str, payment_id: str) -> Payment:
    """The payment after everything that can be done to take nothing from its payer."""
    payment = await get_payment(deps, merchant_id, payment_id)
    if payment.status is Status.PROCESSING:
        raise KeyInProgress()
    if payment.status is Status.UNKNOWN:
        assert payment.open_attempt_id is not None
        async with deps.engine.connect() as connection:
            attempt = await attempts.get(connection, payment.open_attempt_id)
        assert attempt is not None
        await resolve(deps, attempt, CLOSE_AFTER_TRIES)
        payment = await get_payment(deps, merchant_id, payment_id)
    if payment.status in _TO_CANCEL:
        # A key of its own each time: a refusal of the channel today must not be the answer of tomorrow.
        key = IdempotencyKey(new_id("cxl"), b"cancel", scope=f"{merchant_id} cancel-key")
        await cancel_payment(deps, Act(merchant_id, payment_id, key))
        payment = await get_payment(deps, merchant_id, payment_id)
    return payment


def _as_stored(command: CancelKey, record: KeyRecord) -> dict[str, Any]:
    if record.response is None:
        raise KeyInProgress()
    return _shown(command, "finished", response=record.response)


def _shown(
    command: CancelKey, status: str, payment: Payment | None = None, response: StoredResponse | None = None
) -> dict[str, Any]:
    return {
        "object": "idempotency_key",
        "key": command.key,
        "route": command.route,
        "status": status,
        "payment": payment_object(payment) if payment else None,
        "response": {"status": response.status, "body": orjson.loads(response.body)} if response else None,
    }
