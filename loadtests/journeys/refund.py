"""An order that comes back: paid, then given back, all of it or a third."""

from loadtests.shop import Customer


def refund(customer: Customer) -> None:
    order = customer.order()
    paid = customer.pay("pay", order)
    if paid.outcome == "ok":
        payment_id = str(paid.body["id"])
        part = order["amount_minor"] // customer.draw.choice((1, 3))
        body = {"amount_minor": part, "reason": "returned"}
        path = f"/v1/payments/{payment_id}/refunds"
        customer.post("refund", "refund", path, body, customer.key("refund"), payment_id=payment_id)
