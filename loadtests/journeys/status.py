"""A shop that polls: a payment by its id, then the newest ones."""

from loadtests.shop import Customer


def status(customer: Customer) -> None:
    paid = customer.pay("pay", customer.order())
    if paid.is_fine and "id" in paid.body:
        payment_id = paid.body["id"]
        customer.get("status", f"/v1/payments/{payment_id}", lambda answer: answer.get("id") == payment_id)
        customer.get("list", "/v1/payments?limit=5", lambda answer: isinstance(answer.get("data"), list))
