"""All routes of the facade, under `/stripe`: what `stripe.api_base` points to."""

from __future__ import annotations

from fastapi import APIRouter

from payment_gateway.api.stripe import (
    customers,
    events,
    money,
    payment_intents,
    payment_methods,
    refunds,
    setup_intents,
)

router = APIRouter(prefix="/stripe")
for part in (payment_intents, refunds, payment_methods, customers, setup_intents, events, money):
    router.include_router(part.router)
