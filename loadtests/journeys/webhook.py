"""An order that is shipped when the webhook says so: paid, then waited for at the shop's own receiver (receiver.py)."""

from loadtests.shop import Customer


def webhook(customer: Customer) -> None:
    paid = customer.pay("pay", customer.order())
    if paid.outcome == "ok" and customer.has_receiver:
        customer.await_webhook(str(paid.body["id"]))
