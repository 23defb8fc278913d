"""Native objects in Stripe's shapes. Pure: what the native API would show goes in."""

from payment_gateway.domain.stripe_objects.customers import customer, payment_method, setup_intent
from payment_gateway.domain.stripe_objects.events import event, told_as, webhook_endpoint
from payment_gateway.domain.stripe_objects.money import balance, balance_transaction, dispute, payout
from payment_gateway.domain.stripe_objects.payments import charge, payment_error, payment_intent, refund
from payment_gateway.domain.stripe_objects.words import API_VERSION, object_list, stripe_id

__all__ = [
    "API_VERSION",
    "balance",
    "balance_transaction",
    "charge",
    "customer",
    "dispute",
    "event",
    "object_list",
    "payment_error",
    "payment_intent",
    "payment_method",
    "payout",
    "refund",
    "setup_intent",
    "stripe_id",
    "told_as",
    "webhook_endpoint",
]
