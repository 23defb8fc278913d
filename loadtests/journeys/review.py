"""A payment that risk holds for a person: a known customer buys for thousands; somebody looks, and decides.

With the packaged rules a very high amount of a customer who has paid before is `review`: authorised, not captured,
whatever was asked for. The shop's clerk lets two of three go (capture) and gives up the third (void).
"""

from loadtests.shop import Customer

VERY_HIGH_MINOR = 210_000  # amount_bands.EUR.very_high of the packaged rules is 200,000


def review(customer: Customer) -> None:
    known = customer.pay("pay", customer.order())
    if known.outcome != "ok":
        return
    order = customer.order(amount_minor=VERY_HIGH_MINOR)
    held = customer.pay("review", order, customer.key("review"))
    if held.outcome != "held":
        return
    payment_id = str(held.body["id"])
    verb, state = customer.draw.choice((("capture", "captured"), ("capture", "captured"), ("void", "voided")))
    customer.post(
        "review_decision",
        verb,
        f"/v1/payments/{payment_id}/{verb}",
        {},
        customer.key("decision"),
        status=200,
        expect=(state,),
        payment_id=payment_id,
    )
