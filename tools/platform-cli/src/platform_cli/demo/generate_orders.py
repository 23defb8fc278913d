"""Write `examples/orders.csv`: `python -m platform_cli.demo.generate_orders > examples/orders.csv`.

A Friday of a shop that sells in eight currencies: 400 orders of regular customers, and what comes with them on any
such day: declines, issuer challenges, a bad line to the channel, refunds, lost answers, wholesale, and fraud.
Seeded, so the file is the same each time; addresses are from the ranges reserved for documentation (RFC 5737, 2606).
"""

import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from platform_cli.demo.orders import Order, Then, write_orders

SEED = 20261120
DAY = datetime(2026, 11, 20, tzinfo=UTC)
CUSTOMERS = 130
# currency: (share, typical amount in minor units, country)
MARKETS = {
    "EUR": (36, 4_200, "DE"),
    "USD": (20, 4_900, "US"),
    "GBP": (12, 3_800, "GB"),
    "JPY": (10, 6_300, "JP"),  # no minor unit: 6,300 yen
    "CHF": (7, 5_200, "CH"),
    "KWD": (6, 14_500, "KW"),  # three decimals: 14.500 dinar
    "SEK": (5, 45_000, "SE"),
    "PLN": (4, 18_000, "PL"),
}
BUSY_HOURS = (1, 1, 1, 1, 1, 2, 3, 5, 7, 9, 10, 11, 12, 11, 10, 10, 11, 12, 13, 14, 13, 10, 6, 3)


class Shop:
    """Makes orders from one seeded source; an order's number is given when the day is complete."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._customers = [self._new_customer(number) for number in range(CUSTOMERS)]

    def day(self) -> list[Order]:
        """All orders in the order of their time, numbered."""
        made = sorted(self._all(), key=lambda order: (order.placed_at, order.card_token, order.device_id))
        return [replace(order, order=f"ord_{number:04}") for number, order in enumerate(made, start=1)]

    def _all(self) -> Iterator[Order]:
        yield from self._shopping(203, Then.NOTHING)
        yield from self._shopping(20, Then.REPLAY)
        yield from self._shopping(22, Then.REFUND)
        yield from self._shopping(10, Then.PARTIAL_REFUND)
        yield from self._shopping(12, Then.CAPTURE)
        yield from self._shopping(5, Then.PARTIAL_CAPTURE)
        yield from self._shopping(6, Then.VOID)
        yield from self._declined()
        yield from self._issuer_challenges()
        yield from self._bad_line()
        yield from self._stolen_card()
        yield from self._account_takeover()
        yield from self._card_testing()
        yield from self._high_amounts()
        yield from self._wholesale()

    def _shopping(self, count: int, then: Then) -> Iterator[Order]:
        for _ in range(count):
            order = self._order(self._random.choice(self._customers))
            is_wallet = then in {Then.NOTHING, Then.REFUND, Then.REPLAY} and self._random.random() < 0.22
            order = replace(order, method="wallet", card_token="") if is_wallet else order
            yield replace(order, then=then)

    def _declined(self) -> Iterator[Order]:
        kinds = {"tok_declined": 8, "tok_insufficient_funds": 8, "tok_expired": 4, "tok_lost": 2}
        for token, count in kinds.items():
            for number in range(count):
                order = self._order(self._random.choice(self._customers))
                yield replace(order, card_token=f"{token}_{number}", story="declined")

    def _issuer_challenges(self) -> Iterator[Order]:
        outcomes = [Then.PASS_CHALLENGE] * 9 + [Then.FAIL_CHALLENGE] * 3 + [Then.ABANDON_CHALLENGE] * 2
        for number, then in enumerate(outcomes):
            order = self._order(self._random.choice(self._customers))
            yield replace(order, card_token=f"tok_3ds_{number}", story="issuer_challenge", then=then)

    def _bad_line(self) -> Iterator[Order]:
        kinds = {"tok_timeout": 4, "tok_dropped": 3, "tok_reset": 4, "tok_error": 3, "tok_slow": 4}
        for token, count in kinds.items():
            for number in range(count):
                order = self._order(self._random.choice(self._customers))
                yield replace(order, card_token=f"{token}_{number}", story="bad_line")

    def _stolen_card(self) -> Iterator[Order]:
        """A card on the issuer's stolen list, tried again and again within minutes, for more each time."""
        thief = self._stranger("thief_1", "198.51.100.77", "dev_e7a1", DAY + timedelta(hours=3, minutes=12))
        for number in range(9):
            yield self._later(thief, 40 * number, 15_000 + 4_500 * number, "tok_stolen_4411", "stolen_card")

    def _account_takeover(self) -> Iterator[Order]:
        """A customer's good card in other hands: a new device abroad, a burst of rising amounts."""
        victim = self._customers[7]
        thief = self._stranger(
            victim.customer_id, "203.0.113.201", "dev_0ff1", DAY + timedelta(hours=4, minutes=30)
        )
        for number in range(8):
            yield self._later(
                thief, 35 * number, 22_000 + 9_000 * number, victim.card_token, "account_takeover"
            )

    def _card_testing(self) -> Iterator[Order]:
        """Many card numbers, one device: which of them are alive?"""
        tester = self._stranger("guest", "198.51.100.9", "dev_bot1", DAY + timedelta(hours=2, minutes=5))
        for number in range(32):
            token = f"tok_declined_t{number:02}" if number % 4 else f"tok_visa_t{number:02}"
            order = self._later(tester, 4 * number, 100 + number % 3, token, "card_testing")
            yield replace(order, customer_id=f"guest_{number:02}")

    def _high_amounts(self) -> Iterator[Order]:
        for number in range(7):
            place = self._stranger(
                f"new_{number}", f"203.0.113.{40 + number}", f"dev_n{number:03}", self._moment()
            )
            amount = 380_000 + 65_000 * number
            yield self._later(place, 0, amount, f"tok_mastercard_n{number}", "high_amount")

    def _wholesale(self) -> Iterator[Order]:
        """Known customers who always buy for thousands: a person has a look, and lets them go."""
        for buyer in range(3):
            known = self._stranger(
                f"trade_{buyer}", f"192.0.2.{200 + buyer}", f"dev_w{buyer}", DAY + timedelta(hours=8)
            )
            for number in range(4):
                amount = 210_000 + 7_000 * number + 11_000 * buyer
                token = f"tok_mastercard_w{buyer}{number % 2}"
                order = self._later(known, 9_000 * number + 600 * buyer, amount, token, "wholesale")
                yield replace(order, country="DE")

    def _order(self, customer: Order) -> Order:
        typical = MARKETS[customer.currency][1]
        amount = max(typical // 20, round(typical * self._random.lognormvariate(0, 0.55)))
        return replace(customer, placed_at=_written(self._moment()), amount_minor=amount)

    def _moment(self) -> datetime:
        hour = self._random.choices(range(24), BUSY_HOURS)[0]
        return DAY + timedelta(hours=hour, seconds=int(self._random.random() * 3600))

    def _new_customer(self, number: int) -> Order:
        currency = self._random.choices(list(MARKETS), [share for share, _, _ in MARKETS.values()])[0]
        brand = "tok_visa" if self._random.random() < 0.6 else "tok_mastercard"
        return Order(
            order="",
            placed_at="",
            amount_minor=0,
            currency=currency,
            method="card",
            card_token=f"{brand}_c{number:03}",
            customer_id=f"cus_{number:03}",
            country=MARKETS[currency][2],
            ip=f"192.0.2.{1 + number}",
            device_id=f"dev_{number:04}",
            email=f"customer{number}@example.com",
            story="shopping",
        )

    def _stranger(self, customer_id: str, ip: str, device_id: str, at: datetime) -> Order:
        email = f"{customer_id}@example.net"
        known = replace(self._customers[0], customer_id=customer_id, ip=ip, device_id=device_id, email=email)
        return replace(known, currency="EUR", country="RO", placed_at=_written(at))

    def _later(self, order: Order, seconds: int, amount_minor: int, token: str, story: str) -> Order:
        at = datetime.fromisoformat(order.placed_at) + timedelta(seconds=seconds)
        return replace(
            order, placed_at=_written(at), amount_minor=amount_minor, card_token=token, story=story
        )


def _written(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    write_orders(Shop(SEED).day(), sys.stdout)
