"""How the facade calls operations: under the client's key (or one of its own), and never with a 409 that a short wait
would have answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from payment_gateway.api.access import Caller
from payment_gateway.api.card_data import idempotency_key_of
from payment_gateway.api.stripe.errors import InvalidParameter, card_error, envelope, unexpected_state
from payment_gateway.api.stripe.form import Parameters
from payment_gateway.api.stripe.names import native_id
from payment_gateway.domain.objects import payment_object
from payment_gateway.domain.stripe_objects import payment_intent
from payment_gateway.operations.answer_request import Answer
from payment_gateway.operations.find_payments import get_payment
from payment_gateway.operations.problems import InvalidState
from payment_gateway.store.pages import Window
from platform_kit.app import JsonResponse
from platform_kit.idempotency import (
    HEADER,
    REPLAY_HEADER,
    Fingerprint,
    IdempotencyKey,
    KeyInProgress,
    fingerprint_of,
)
from platform_kit.ids import new_id

WAIT_S: Final = (
    2.0  # for the request that has the key: the client would repeat a 409 after half a second anyway
)
WAIT_STEP_S: Final = 0.1
LIMIT_DEFAULT: Final = 10
LIMIT_MAX: Final = 100

Render = Callable[[Mapping[str, Any]], dict[str, Any]]


async def key_of(
    request: Request, merchant_id: str, fingerprint: Fingerprint = fingerprint_of
) -> IdempotencyKey:
    """The request's key; a request without one gets a key of its own and can be neither repeated nor doubled.

    Its scope is one for the whole facade: a key belongs to the endpoint of its first use, which is part of the
    fingerprint.
    """
    key = idempotency_key_of(request) if HEADER in request.headers else new_id("auto")
    seen = fingerprint(request.scope["path"], await request.body())
    return IdempotencyKey(key, seen, scope=f"{merchant_id} stripe")


async def settled(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer of an operation; while another request works under the same key, wait for it a while.

    Raises KeyInProgress when that takes too long.
    """
    give_up_at = asyncio.get_running_loop().time() + WAIT_S
    while True:
        try:
            return await call()
        except InvalidState as refused:  # said before a key was claimed: to the client it is one refusal
            return Answer(refused.status, orjson.dumps(refused.body(None, None)))
        except KeyInProgress:
            if asyncio.get_running_loop().time() >= give_up_at:
                raise
            await asyncio.sleep(WAIT_STEP_S)


def respond(answer: Answer, render: Render) -> Response:
    """The answer in Stripe's shape: 200 for all that is done or under way, the envelope for a refusal."""
    if answer.status >= 400:
        return envelope(answer.status, answer.object, marked(answer))
    return JsonResponse(render(answer.object), 200, marked(answer))


def is_by_state(answer: Answer) -> bool:
    """Whether it is the refusal of an act that the object's state does not admit."""
    return answer.status == InvalidState.status and answer.object["type"] == f"/problems/{InvalidState.code}"


def marked(answer: Answer) -> dict[str, str]:
    """The header by which a repetition is known."""
    return {REPLAY_HEADER: "true"} if answer.replayed else {}


async def respond_on_intent(caller: Caller, payment_id: str, answer: Answer, render: Render) -> Response:
    """As `respond`, of an act on a payment; when its state does not admit it, the refusal shows the intent."""
    if not is_by_state(answer):
        return respond(answer, render)
    payment = await get_payment(caller.deps, caller.merchant_id, payment_id)
    shown = payment_intent(payment_object(payment))
    return unexpected_state(answer.object, "payment_intent", shown, marked(answer))


def respond_to_charge(answer: Answer, render: Render) -> Response:
    """As `respond`, but a decline is an error here: that is how Stripe's clients hear of one."""
    response = respond(answer, render)
    if answer.status < 400 and answer.object.get("status") in ("declined", "failed"):
        declined = card_error(render(answer.object))
        declined.headers.update(marked(answer))
        return declined
    return response


def window_of(parameters: Parameters, prefix: str) -> Window:
    """`limit`, `starting_after`, `ending_before` and `created[…]` of a list. `prefix` is that of the listed ids."""
    limit = parameters.integer("limit", least=1, most=LIMIT_MAX) or LIMIT_DEFAULT
    before, after = parameters.text("starting_after"), parameters.text("ending_before")
    if before and after:
        raise InvalidParameter("Use starting_after or ending_before, not both.", "ending_before")
    created_from, created_to = _created(parameters)
    return Window(
        limit=limit,
        before=native_id(prefix, before) if before else None,
        after=native_id(prefix, after) if after else None,
        created_from=created_from,
        created_to=created_to,
    )


def _created(parameters: Parameters) -> tuple[datetime | None, datetime | None]:
    """The first second, and the one behind the last."""
    if isinstance(exact := parameters.peek("created"), str):
        parameters.ignore("created")
        return _bounds(_second(exact), _second(exact))
    bounds = parameters.nested("created")
    if bounds is None:
        return None, None
    gt, gte = bounds.integer("gt"), bounds.integer("gte")
    lt, lte = bounds.integer("lt"), bounds.integer("lte")
    bounds.done()
    first = max((s for s in (gte, None if gt is None else gt + 1) if s is not None), default=None)
    last = min((s for s in (lte, None if lt is None else lt - 1) if s is not None), default=None)
    return _bounds(first, last)


def _second(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 11):
        raise InvalidParameter("Invalid integer: created.", "created", "parameter_invalid_integer")
    return int(value)


def _bounds(first: int | None, last: int | None) -> tuple[datetime | None, datetime | None]:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return (
        None if first is None else epoch + timedelta(seconds=first),
        None if last is None else epoch + timedelta(seconds=last + 1),
    )
