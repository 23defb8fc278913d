"""The one definition of every velocity window.

The Lua program in `clients/features.py` is generated from `SERIES`, the training features in
`operations/train_model.py` take their lengths from it, and `windows_of` below is the plain-Python meaning that
the tests hold both to. A window at time `now` covers the events with `now - length < at <= now`, the payment
being assessed included (left-open, as in the Fraud Detection Handbook). A delayed window ends `delay` before now.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


class Aggregate(StrEnum):
    """What a window computes over its events."""

    COUNT = "count"
    SUM = "sum"  # of amounts, in minor units of the reference currency
    LARGEST = "largest"  # of amounts; 0 of none
    OLDEST_HOURS = "oldest_hours"  # whole hours since the first event; 0 of none, so it wants a delay
    NEWEST_HOURS = "newest_hours"  # since the last
    DISTINCT_CARDS = "distinct_cards"
    DISTINCT_COUNTRIES = "distinct_countries"


@dataclass(frozen=True, slots=True)
class Window:
    """One feature: `name` is the fact that rules read, `length_ms` how far it looks back, from `delay_ms` ago."""

    name: str
    aggregate: Aggregate
    length_ms: int
    delay_ms: int = 0


@dataclass(frozen=True, slots=True)
class Series:
    """One sorted set per entity: its events, newest `cap` of them, kept for its longest window."""

    name: str  # "<entity>.<kind>", e.g. card.payments
    entity: str
    kind: str  # payments: recorded by the assessment itself; declines and frauds: recorded by the consumer
    cap: int
    windows: tuple[Window, ...]

    @property
    def horizon_ms(self) -> int:
        """How long an event can still matter; also the key's time to live."""
        return max(window.length_ms + window.delay_ms for window in self.windows)

    @property
    def saturated(self) -> str:
        """Name of the flag saying that the cap was reached: counts are then a lower bound."""
        return f"{self.name.replace('.', '_')}_saturated"


@dataclass(frozen=True, slots=True)
class Event:
    """One payment or decline as a window sees it; strings are empty when unknown."""

    id: str
    at_ms: int
    amount: int
    card: str = ""
    country: str = ""


# A fraud is known days after its payment: a window that counts frauds, and the one it is a share of, end that long ago.
LABEL_DELAY_MS = 7 * DAY_MS
EARLIER_MS = 1  # a window that ends so long ago has the payments before this one, and not this one

# Caps: a person's card or device past 200 payments in its window is decided long before the count stops being
# exact; 1,000 payments of one customer in 30 days is never reached by the handbook's traffic (most: 4 a day), so
# the model's features stay exact. 3.1 kB of Redis per 100 events bounds the memory of one key.
SERIES: tuple[Series, ...] = (
    Series(
        "card.payments", "card", "payments", 200,
        (
            Window("card_count_10m", Aggregate.COUNT, 10 * MINUTE_MS),
            Window("card_count_1h", Aggregate.COUNT, HOUR_MS),
            Window("card_count_24h", Aggregate.COUNT, DAY_MS),
            Window("card_sum_24h", Aggregate.SUM, DAY_MS),
            Window("card_countries_24h", Aggregate.DISTINCT_COUNTRIES, DAY_MS),
        ),
    ),
    Series(
        "customer.payments", "customer", "payments", 1_000,
        (
            Window("customer_count_1d", Aggregate.COUNT, DAY_MS),
            Window("customer_count_7d", Aggregate.COUNT, 7 * DAY_MS),
            Window("customer_count_30d", Aggregate.COUNT, 30 * DAY_MS),
            Window("customer_sum_1d", Aggregate.SUM, DAY_MS),
            Window("customer_sum_7d", Aggregate.SUM, 7 * DAY_MS),
            Window("customer_sum_30d", Aggregate.SUM, 30 * DAY_MS),
            Window("customer_cards_24h", Aggregate.DISTINCT_CARDS, DAY_MS),
            Window("customer_largest_1d", Aggregate.LARGEST, DAY_MS, EARLIER_MS),
            Window("customer_largest_7d", Aggregate.LARGEST, 7 * DAY_MS, EARLIER_MS),
            Window("customer_largest_14d", Aggregate.LARGEST, 14 * DAY_MS, EARLIER_MS),
        ),
    ),
    Series(
        "device.payments", "device", "payments", 200,
        (
            Window("device_count_1h", Aggregate.COUNT, HOUR_MS),
            Window("device_cards_1h", Aggregate.DISTINCT_CARDS, HOUR_MS),
        ),
    ),
    Series(
        "ip.payments", "ip", "payments", 500,
        (
            Window("ip_count_10m", Aggregate.COUNT, 10 * MINUTE_MS),
            Window("ip_cards_1h", Aggregate.DISTINCT_CARDS, HOUR_MS),
        ),
    ),
    # A mailbox outlives the cards that are tried with it.
    Series(
        "email.payments", "email", "payments", 200,
        (
            Window("email_count_1h", Aggregate.COUNT, HOUR_MS),
            Window("email_count_24h", Aggregate.COUNT, DAY_MS),
            Window("email_cards_24h", Aggregate.DISTINCT_CARDS, DAY_MS),
        ),
    ),
    Series("card.declines", "card", "declines", 100, (Window("card_declines_1h", Aggregate.COUNT, HOUR_MS),)),
    Series("ip.declines", "ip", "declines", 200, (Window("ip_declines_1h", Aggregate.COUNT, HOUR_MS),)),
    Series(
        "merchant.declines", "merchant", "declines", 500,
        (Window("merchant_declines_10m", Aggregate.COUNT, 10 * MINUTE_MS),),
    ),
    # Numbers made up within one BIN, tried at one merchant: each card is new, so only what they share tells. Declines,
    # because a BIN's honest payers are many and their declines few; and a set that is seldom there is quickly read.
    Series(
        "bin.declines", "bin", "declines", 200,
        (
            Window("bin_declines_10m", Aggregate.COUNT, 10 * MINUTE_MS),
            Window("bin_declined_cards_10m", Aggregate.DISTINCT_CARDS, 10 * MINUTE_MS),
        ),
    ),
    # A terminal of the handbook makes 1 payment a day, a busy shop's thousands: those reach the cap, and say so.
    Series(
        "terminal.payments", "terminal", "payments", 300,
        (
            Window("terminal_count_1d", Aggregate.COUNT, DAY_MS, LABEL_DELAY_MS),
            Window("terminal_count_7d", Aggregate.COUNT, 7 * DAY_MS, LABEL_DELAY_MS),
            Window("terminal_count_30d", Aggregate.COUNT, 30 * DAY_MS, LABEL_DELAY_MS),
        ),
    ),
    Series(
        "terminal.frauds", "terminal", "frauds", 300,
        (
            Window("terminal_frauds_1d", Aggregate.COUNT, DAY_MS, LABEL_DELAY_MS),
            Window("terminal_frauds_7d", Aggregate.COUNT, 7 * DAY_MS, LABEL_DELAY_MS),
            Window("terminal_frauds_14d", Aggregate.COUNT, 14 * DAY_MS, LABEL_DELAY_MS),
            Window("terminal_frauds_28d", Aggregate.COUNT, 28 * DAY_MS, LABEL_DELAY_MS),
            Window("terminal_frauds_30d", Aggregate.COUNT, 30 * DAY_MS, LABEL_DELAY_MS),
            Window("terminal_first_fraud_hours", Aggregate.OLDEST_HOURS, 28 * DAY_MS, LABEL_DELAY_MS),
            Window("terminal_last_fraud_hours", Aggregate.NEWEST_HOURS, 28 * DAY_MS, LABEL_DELAY_MS),
        ),
    ),
)  # fmt: skip

WINDOWS: Mapping[str, Window] = {window.name: window for series in SERIES for window in series.windows}
FACTS: frozenset[str] = frozenset(WINDOWS) | {series.saturated for series in SERIES}


def entities_of(
    card: str,
    customer: str,
    device: str,
    ip: str,
    merchant: str,
    terminal: str = "",
    email: str = "",
    merchant_bin: str = "",
) -> dict[str, str]:
    """The entities of one payment that are known, by entity name."""
    named = {
        "card": card,
        "customer": customer,
        "device": device,
        "ip": ip,
        "merchant": merchant,
        "terminal": terminal,
        "email": email,
        "bin": merchant_bin,
    }
    return {name: value for name, value in named.items() if value}


_EMPTY: Final[dict[str, int | bool]] = {
    **dict.fromkeys(WINDOWS, 0),
    **{series.saturated: False for series in SERIES},
}


def empty_windows() -> dict[str, int | bool]:
    """Every velocity fact at its default: nothing was seen."""
    return _EMPTY.copy()


def record(series: Series, kept: Iterable[Event], event: Event) -> tuple[Event, ...]:
    """The series after `event`: an id counts once (its first record stays), the newest `cap` are kept."""
    events = tuple(kept)
    if all(known.id != event.id for known in events):
        events = (*events, event)
    fresh = [known for known in events if known.at_ms > event.at_ms - series.horizon_ms]
    return tuple(sorted(fresh, key=lambda known: (known.at_ms, known.id))[-series.cap :])


def windows_of(series: Series, kept: Iterable[Event], now_ms: int) -> dict[str, int | bool]:
    """What the series says at `now_ms`: one value per window and the saturated flag."""
    events = tuple(kept)
    facts: dict[str, int | bool] = {
        window.name: aggregate(
            window.aggregate,
            [
                event
                for event in events
                if now_ms - window.delay_ms - window.length_ms < event.at_ms <= now_ms - window.delay_ms
            ],
            now_ms,
        )
        for window in series.windows
    }
    return facts | {series.saturated: len(events) >= series.cap}


def aggregate(kind: Aggregate, events: list[Event], now_ms: int) -> int:
    """One aggregate over the events of a window; unknown cards and countries do not count as distinct."""
    if kind is Aggregate.COUNT:
        return len(events)
    if kind is Aggregate.SUM:
        return sum(event.amount for event in events)
    if kind is Aggregate.LARGEST:
        return max((event.amount for event in events), default=0)
    if kind in (Aggregate.OLDEST_HOURS, Aggregate.NEWEST_HOURS):
        first_or_last = min if kind is Aggregate.OLDEST_HOURS else max
        return (now_ms - first_or_last((event.at_ms for event in events), default=now_ms)) // HOUR_MS
    named = (event.card if kind is Aggregate.DISTINCT_CARDS else event.country for event in events)
    return len(set(named) - {""})
