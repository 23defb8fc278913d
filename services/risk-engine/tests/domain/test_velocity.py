"""The one definition of the windows: bounds, caps, idempotence, distinct counts."""

from hypothesis import given
from hypothesis import strategies as st

from risk_engine.domain.velocity import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    SERIES,
    WINDOWS,
    Aggregate,
    Event,
    Series,
    Window,
    aggregate,
    empty_windows,
    entities_of,
    record,
    windows_of,
)

CARD = next(series for series in SERIES if series.name == "card.payments")
SMALL = Series("card.payments", "card", "payments", 3, (Window("seen", Aggregate.COUNT, HOUR_MS),))
NOW = 100 * DAY_MS


def at(ms: int, number: int = 1, amount: int = 100, **values: str) -> Event:
    return Event(f"e{number:03}", ms, amount, **values)


def test_a_window_is_open_on_the_left_and_closed_on_the_right() -> None:
    edge = NOW - 10 * MINUTE_MS
    facts = windows_of(CARD, [at(edge, 1), at(edge + 1, 2), at(NOW, 3), at(NOW + 1, 4)], NOW)
    assert facts["card_count_10m"] == 2  # not the one exactly ten minutes old, not the one of the future


def test_a_delayed_window_ends_its_delay_ago() -> None:
    terminal = next(series for series in SERIES if series.name == "terminal.payments")
    ago = [7 * DAY_MS - 1, 7 * DAY_MS, 8 * DAY_MS - 1, 8 * DAY_MS, 37 * DAY_MS - 1, 37 * DAY_MS]
    facts = windows_of(terminal, [at(NOW - ms, number) for number, ms in enumerate(ago)], NOW)
    assert [facts[f"terminal_count_{span}"] for span in ("1d", "7d", "30d")] == [2, 3, 4]
    assert terminal.horizon_ms == 37 * DAY_MS


def test_an_event_that_is_recorded_twice_counts_once_and_keeps_its_first_time() -> None:
    kept = record(CARD, record(CARD, [], at(NOW, 1)), at(NOW + 5, 1))
    assert kept == (at(NOW, 1),)


def test_what_is_older_than_the_longest_window_is_dropped() -> None:
    kept = record(CARD, [at(NOW - DAY_MS, 1)], at(NOW, 2))
    assert [event.id for event in kept] == ["e002"]


def test_beyond_the_cap_the_oldest_go_and_the_flag_says_so() -> None:
    kept: tuple[Event, ...] = ()
    for number in range(5):
        kept = record(SMALL, kept, at(NOW + number, number))
    assert [event.id for event in kept] == ["e002", "e003", "e004"]
    assert windows_of(SMALL, kept, NOW + 4) == {"seen": 3, "card_payments_saturated": True}
    assert windows_of(SMALL, kept[:2], NOW + 4) == {"seen": 2, "card_payments_saturated": False}


def test_sums_are_of_amounts_and_distinct_counts_leave_out_the_unknown() -> None:
    events = [
        at(NOW, 1, 100, card="a", country="DE"),
        at(NOW, 2, 250, card="a", country=""),
        at(NOW, 3, 1, card="b", country="FR"),
    ]
    assert [aggregate(kind, events, NOW) for kind in Aggregate] == [3, 351, 250, 0, 0, 2, 2]


def test_the_largest_earlier_amount_is_not_this_payments_own() -> None:
    customer = next(series for series in SERIES if series.name == "customer.payments")
    events = [at(NOW - 7 * DAY_MS, 1, 900), at(NOW - DAY_MS, 2, 300), at(NOW, 3, 5_000)]
    facts = windows_of(customer, events, NOW)
    assert [facts[f"customer_largest_{span}"] for span in ("1d", "7d", "14d")] == [300, 900, 900]
    assert windows_of(customer, events[2:], NOW)["customer_largest_14d"] == 0


def test_ages_are_of_frauds_that_are_known_and_nothing_without_one() -> None:
    frauds = next(series for series in SERIES if series.name == "terminal.frauds")
    ago = [6 * DAY_MS, 7 * DAY_MS + HOUR_MS + 1, 20 * DAY_MS, 35 * DAY_MS]
    facts = windows_of(frauds, [at(NOW - ms, number) for number, ms in enumerate(ago)], NOW)
    assert (facts["terminal_first_fraud_hours"], facts["terminal_last_fraud_hours"]) == (20 * 24, 7 * 24 + 1)
    unknown = windows_of(frauds, [at(NOW - 6 * DAY_MS)], NOW)
    assert (unknown["terminal_first_fraud_hours"], unknown["terminal_last_fraud_hours"]) == (0, 0)


def test_entities_that_are_unknown_have_no_windows() -> None:
    known = entities_of(card="", customer="c", device="", ip="", merchant="m")
    assert known == {"customer": "c", "merchant": "m"}


def test_names_are_unique_and_defaults_are_complete() -> None:
    names = [window.name for series in SERIES for window in series.windows] + [s.saturated for s in SERIES]
    assert len(names) == len(set(names)) == len(empty_windows())
    assert set(empty_windows().values()) == {0}
    assert WINDOWS["customer_count_30d"].length_ms == 30 * DAY_MS


@given(st.lists(st.tuples(st.integers(0, 2 * DAY_MS), st.integers(0, 20)), max_size=40), st.randoms())
def test_the_order_of_arrival_does_not_matter_below_the_cap(events, shuffler) -> None:  # type: ignore[no-untyped-def]
    """Late and early events end in the same windows; an id keeps the place where it was seen first."""
    first_times = {number: ms for ms, number in reversed(events)}
    ordered = [at(NOW + ms, number) for number, ms in first_times.items()]
    shuffled = ordered.copy()
    shuffler.shuffle(shuffled)
    last = max((event.at_ms for event in ordered), default=NOW)

    def replay(sequence: list[Event]) -> dict[str, int | bool]:
        kept: tuple[Event, ...] = ()
        for event in sequence:
            kept = record(CARD, kept, event)
        return windows_of(CARD, kept, last)

    assert replay(ordered) == replay(shuffled)
