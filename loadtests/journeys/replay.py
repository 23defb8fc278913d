"""A request whose answer was lost: the same key and body again must bring the same bytes, and no second payment."""

from loadtests.shop import Customer


def replay(customer: Customer) -> None:
    order, key = customer.order(), customer.key()
    first = customer.pay("pay", order, key)
    if first.status == 201:
        body = {**order, "reference": key}
        customer.post(
            "replay", "payment", "/v1/payments", body, key, expect=(str(first.body["status"]),), same_as=first
        )
