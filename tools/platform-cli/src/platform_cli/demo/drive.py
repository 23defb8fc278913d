"""Drive orders through the gateway as a shop and its customers would, and keep what each of them was told."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from platform_cli.audit.compare import WAITING
from platform_cli.audit.shop import NoAnswer, Reply, Shop
from platform_cli.demo.orders import Order, Then

CONCURRENCY = 8  # two cores carry the whole platform and this client
FRAUD = frozenset({"stolen_card", "account_takeover", "card_testing", "high_amount"})
CHALLENGES = {
    Then.PASS_CHALLENGE: "passed",
    Then.FAIL_CHALLENGE: "failed",
    Then.ABANDON_CHALLENGE: "abandoned",
}


@dataclass(slots=True)
class Journey:
    """One order's way. `told` is the newest payment object that the shop was given: what it may rely on."""

    order: Order
    key: str
    told: dict[str, Any] = field(default_factory=dict)
    latency_s: float | None = None
    refused: dict[str, Any] | None = None
    trouble: str | None = None
    was_unknown: bool = False
    was_challenged: bool = False
    was_reviewed: bool = False
    replay_is_equal: bool | None = None
    refunds: list[str] = field(default_factory=list)

    @property
    def reference(self) -> str:
        return self.order.order

    @property
    def payment_id(self) -> str | None:
        return self.told.get("id")

    @property
    def status(self) -> str:
        return str(self.told.get("status", "none"))

    @property
    def decision(self) -> str:
        return str((self.told.get("risk") or {}).get("decision", "none"))


async def drive(
    shop: Shop,
    orders: Sequence[Order],
    run: str,
    on_done: Callable[[Journey], None] = lambda _: None,
    concurrency: int = CONCURRENCY,
) -> list[Journey]:
    """All orders, `concurrency` at a time; those of a bad line do not hold up the others. `run` makes keys unique."""
    gate = asyncio.Semaphore(concurrency)
    journeys = [Journey(order, f"{run}-{order.order}") for order in orders]

    async def travel(journey: Journey) -> None:
        try:
            await _travel(shop, journey)
        except NoAnswer as error:
            journey.trouble = str(error)
        on_done(journey)

    async def gated(journey: Journey) -> None:
        async with gate:
            await travel(journey)

    async with asyncio.TaskGroup() as group:
        for journey in journeys:
            if journey.order.story == "bad_line":
                group.create_task(travel(journey))
            else:
                group.create_task(gated(journey))
    return journeys


async def _travel(shop: Shop, journey: Journey) -> None:
    """Pay, see it through to an end, then do what the shop does with it later."""
    first = await shop.post("/v1/payments", journey.order.request(), journey.key)
    if not first.is_success:
        journey.refused = first.body
        return
    journey.told = first.body
    if first.tries == 1 and first.status == 201:
        journey.latency_s = first.latency_s
    if journey.order.then is Then.REPLAY:
        await _replay(shop, journey, first)
    await _see_through(shop, journey)
    await _follow_up(shop, journey)


async def _replay(shop: Shop, journey: Journey, first: Reply) -> None:
    """The same request with the same key: the stored answer, byte for byte."""
    again = await shop.post("/v1/payments", journey.order.request(), journey.key)
    if first.status == 201:
        journey.replay_is_equal = (again.status, again.raw) == (first.status, first.raw)
    else:  # the first answer was "not known yet"; the key must still lead to the same payment
        journey.replay_is_equal = again.body.get("id") == first.body.get("id")


async def _see_through(shop: Shop, journey: Journey) -> None:
    """Wait until the payment is decided; the customer answers the issuer on the way."""
    if journey.status in {"processing", "unknown"}:
        journey.was_unknown = True
        journey.told = await shop.settled_payment(str(journey.payment_id))
    if journey.status == "requires_action":
        action = journey.told["next_action"]
        if action["type"] == "three_ds":
            journey.was_challenged = True
            await shop.answer_challenge(action["url"], _answer_of_customer(journey.order))
        journey.told = await shop.settled_payment(str(journey.payment_id), WAITING)


def _answer_of_customer(order: Order) -> str:
    return CHALLENGES.get(order.then, "failed" if order.story in FRAUD else "passed")


async def _follow_up(shop: Shop, journey: Journey) -> None:
    order, amount = journey.order, journey.order.amount_minor
    if journey.status == "authorised":
        await _capture_or_void(shop, journey)
    elif journey.status == "captured" and order.then in {Then.REFUND, Then.PARTIAL_REFUND}:
        part = amount if order.then is Then.REFUND else max(1, amount // 3)
        await _act(shop, journey, "refunds", {"amount_minor": part, "reason": "returned"})
        journey.told = await _refunded(shop, journey, part)


async def _capture_or_void(shop: Shop, journey: Journey) -> None:
    """What the order says; a payment that risk holds for review is let go for shoppers, given up for thieves."""
    order = journey.order
    journey.was_reviewed = not order.is_manual
    if order.then is Then.VOID or (journey.was_reviewed and order.story in FRAUD):
        await _act(shop, journey, "void", {})
    elif order.then is Then.PARTIAL_CAPTURE:
        await _act(shop, journey, "capture", {"amount_minor": max(1, order.amount_minor * 2 // 3)})
    else:
        await _act(shop, journey, "capture", {})
    journey.told = await shop.payment(str(journey.payment_id))


async def _act(shop: Shop, journey: Journey, what: str, body: dict[str, Any]) -> None:
    path = f"/v1/payments/{journey.payment_id}/{what}"
    reply = await shop.post(path, body, f"{journey.key}-{what}")
    while reply.status == 202:  # the channel's answer is not known yet: the key will have it
        await asyncio.sleep(0.5)
        reply = await shop.post(path, body, f"{journey.key}-{what}")
    if not reply.is_success:
        journey.trouble = f"{what}: {reply.status} {reply.body.get('title')}"
    elif what == "refunds":
        journey.refunds.append(reply.body["id"])


async def _refunded(shop: Shop, journey: Journey, part: int) -> dict[str, Any]:
    """The payment once the refund is through; it says so itself."""
    for _ in range(100):
        payment = await shop.payment(str(journey.payment_id))
        refunds = (await shop.get(f"/v1/payments/{journey.payment_id}/refunds")).body["data"]
        if payment["refunded_minor"] >= part and all(refund["status"] == "succeeded" for refund in refunds):
            return payment
        await asyncio.sleep(0.3)
    raise NoAnswer(f"the refund of {journey.payment_id} is not through")
