"""The simulated bank that pays merchants out: POST /payout-bank/payouts, once per key however often it is asked."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from payment_gateway.clients.simulators import rules
from payment_gateway.clients.simulators.asking import simulators_of
from payment_gateway.clients.simulators.faults import hang
from payment_gateway.clients.simulators.payout_book import BankPayout
from platform_kit.app import JsonResponse
from platform_kit.body import loads_strict
from platform_kit.problems import InvalidRequest

SCRIPTS: Final = {
    "ba_pays": ("paid",),
    "ba_slow": ("accepted", "paid"),
    "ba_closed": ("failed",),
    "ba_returns": ("paid", "returned"),
    "ba_timeout": ("hang", "paid"),
}
"""Destination -> what the bank says to the first, second, ... question; the last word stays."""
CODES: Final = {"failed": "account_closed", "returned": "no_such_beneficiary"}
REFUSED: Final = ("failed",)


async def pay_out(request: Request) -> Response:
    """How the payout under this Idempotency-Key stands, made now if it is new."""
    simulators = simulators_of(request)
    key = rules.checked_key(request.headers.get("idempotency-key"))
    body = loads_strict(await request.body())
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.")
    amount, currency = rules.amount_of(body), rules.currency_of(body)
    destination = rules.text_of(body, "destination", length_max=64)
    payout = simulators.payouts.put(key, destination, amount, currency)
    if (payout.destination, payout.amount_minor, payout.currency) != (destination, amount, currency):
        raise rules.KeyConflict()
    said = _next_word(payout)
    if said == "hang":  # journaled, so done; the answer never comes
        await hang(request, simulators.delays.hang_s)
        return Response(status_code=504)
    return JsonResponse(
        {
            "key": key,
            "status": said,
            "code": CODES.get(said),
            "amount_minor": amount,
            "currency": currency,
        }
    )


def _next_word(payout: BankPayout) -> str:
    script = SCRIPTS.get(payout.destination, REFUSED)
    word = script[min(payout.asked, len(script) - 1)]
    payout.asked += 1
    return word
