"""Most orders: captured at once."""

from loadtests.shop import Customer


def pay(customer: Customer) -> None:
    customer.pay("pay", customer.order())
