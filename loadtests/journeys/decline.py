"""A card that the issuer refuses: a decline is the right answer, and any other one is an error."""

from loadtests.shop import Customer

TOKENS = ("tok_declined", "tok_insufficient_funds", "tok_expired", "tok_lost")


def decline(customer: Customer) -> None:
    token = customer.draw.choice(TOKENS)
    customer.pay("decline", customer.order(token), expect=("declined",))
