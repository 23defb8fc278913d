"""An order that is shipped later: the money is held, then captured."""

from loadtests.shop import Customer


def authorise_capture(customer: Customer) -> None:
    held = customer.pay("authorise", customer.order(capture="manual"), expect=("authorised",))
    if held.outcome == "ok":
        payment_id = str(held.body["id"])
        path = f"/v1/payments/{payment_id}/capture"
        customer.post(
            "capture",
            "capture",
            path,
            {},
            customer.key("capture"),
            status=200,
            expect=("captured",),
            payment_id=payment_id,
        )
