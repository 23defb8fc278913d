"""The orders are a full day, and the audit sees each kind of harm that it is there to see."""

import io
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from platform_cli.audit.compare import audit, authorisation_key
from platform_cli.audit.witnesses import ChannelRecord, Evidence
from platform_cli.demo.drive import Journey
from platform_cli.demo.generate_orders import SEED, Shop
from platform_cli.demo.orders import Order, Then, read_orders, write_orders
from platform_cli.demo.report import amount
from platform_cli.stack.state import clone
from platform_kit.money import CURRENCIES

FILE = clone() / "examples" / "orders.csv"


def test_the_file_is_what_its_generator_writes() -> None:
    written = io.StringIO()
    write_orders(Shop(SEED).day(), written)
    assert written.getvalue() == FILE.read_text(encoding="utf-8")


def test_the_day_has_several_currencies_methods_and_stories() -> None:
    orders = read_orders(FILE)
    assert len(orders) == 400
    assert {"EUR", "USD", "JPY", "KWD"} <= {order.currency for order in orders} <= set(CURRENCIES)
    assert {order.method for order in orders} == {"card", "wallet"}
    assert {"shopping", "declined", "issuer_challenge", "bad_line", "stolen_card", "card_testing"} <= {
        order.story for order in orders
    }
    assert set(Then) == {order.then for order in orders}
    assert len({order.order for order in orders}) == 400


def test_a_wrong_line_is_named() -> None:
    broken = FILE.with_name("missing.csv")
    with pytest.raises(FileNotFoundError):
        read_orders(broken)


@pytest.mark.parametrize(
    ("minor", "currency", "written"),
    [
        (1250, "EUR", "12.50"),
        (6300, "JPY", "6,300"),
        (14500, "KWD", "14.500"),
        (5, "EUR", "0.05"),
        (0, "JPY", "0"),
    ],
)
def test_amounts_are_written_with_their_currency_s_decimals(minor: int, currency: str, written: str) -> None:
    assert amount(minor, currency) == written


def a_payment(number: int = 1, **changes: Any) -> dict[str, Any]:
    payment = {
        "id": f"pay_{number:026}",
        "reference": f"ord_{number:04}",
        "status": "captured",
        "amount_minor": 1000,
        "currency": "EUR",
        "captured_minor": 1000,
        "refunded_minor": 0,
    }
    return {**payment, **changes}


def a_journey(payment: dict[str, Any], **changes: Any) -> Journey:
    order = replace(read_orders(FILE)[0], order=payment["reference"])
    journey = Journey(order, f"key-{order.order}", told=payment)
    for name, value in changes.items():
        setattr(journey, name, value)
    return journey


def some_evidence(*payments: dict[str, Any], **changes: Any) -> Evidence:
    """Witnesses that agree on `payments`."""
    types = {"captured": "payment.captured.v1", "declined": "payment.declined.v1"}
    evidence = Evidence(
        payments={payment["id"]: payment for payment in payments},
        charges={
            authorisation_key(payment["id"]): ChannelRecord(
                payment["captured_minor"], payment["refunded_minor"], 1
            )
            for payment in payments
        },
        positions=list(range(1, len(payments) + 1)),
        events_by_payment={payment["id"]: Counter([types[payment["status"]]]) for payment in payments},
        warehouse={"position": len(payments), "head": len(payments), "stored": len(payments)},
        reconciliations=[{"channel": "card_sim", "state": "balanced", "break_count": 0, "matched_count": 1}],
        warehouse_ledger={"EUR": sum(payment["captured_minor"] for payment in payments)},
        gateway_ledger={"EUR": sum(payment["captured_minor"] for payment in payments)},
    )
    return replace(evidence, **changes)


def kinds(journeys: list[Journey], evidence: Evidence) -> set[str]:
    return {finding.kind for finding in audit(journeys, evidence)}


def test_witnesses_that_agree_give_no_finding() -> None:
    first, second = a_payment(1), a_payment(2, status="declined", captured_minor=0)
    assert audit([a_journey(first), a_journey(second)], some_evidence(first, second)) == []


def lost_payment() -> tuple[list[Journey], Evidence]:
    return [a_journey(a_payment(1))], some_evidence()


def changed_amount() -> tuple[list[Journey], Evidence]:
    return [a_journey(a_payment(1))], some_evidence(a_payment(1, captured_minor=900))


def not_charged() -> tuple[list[Journey], Evidence]:
    payment = a_payment(1)
    return [a_journey(payment)], some_evidence(payment, charges={})


def charged_for_nobody() -> tuple[list[Journey], Evidence]:
    payment = a_payment(1)
    evidence = some_evidence(payment)
    return [a_journey(payment)], replace(
        evidence, charges={**evidence.charges, "att_x": ChannelRecord(5, 0, 1)}
    )


def charged_twice() -> tuple[list[Journey], Evidence]:
    payment = a_payment(1)
    charges = {authorisation_key(payment["id"]): ChannelRecord(2000, 0, 2)}
    return [a_journey(payment)], some_evidence(payment, charges=charges)


def two_payments_for_an_order() -> tuple[list[Journey], Evidence]:
    payment, twin = a_payment(1), a_payment(2, reference="ord_0001")
    return [a_journey(payment)], some_evidence(payment, twin)


def other_replay() -> tuple[list[Journey], Evidence]:
    payment = a_payment(1)
    return [a_journey(payment, replay_is_equal=False)], some_evidence(payment)


def event_twice() -> tuple[list[Journey], Evidence]:
    payment = a_payment(1)
    events = {payment["id"]: Counter({"payment.captured.v1": 2})}
    return [a_journey(payment)], some_evidence(payment, events_by_payment=events)


def hole_in_positions() -> tuple[list[Journey], Evidence]:
    payment = a_payment(1)
    return [a_journey(payment)], some_evidence(payment, positions=[1, 3])


def warehouse_behind() -> tuple[list[Journey], Evidence]:
    payment = a_payment(1)
    return [a_journey(payment)], some_evidence(payment, warehouse={"position": 0, "head": 1, "stored": 0})


def warehouse_sums_differ() -> tuple[list[Journey], Evidence]:
    payment = a_payment(1)
    return [a_journey(payment)], some_evidence(payment, warehouse_ledger={"EUR": 999})


def still_open() -> tuple[list[Journey], Evidence]:
    payment = a_payment(1)
    stuck = a_payment(2, status="unknown", captured_minor=0)
    evidence = some_evidence(payment)
    return [a_journey(payment)], replace(evidence, payments={**evidence.payments, stuck["id"]: stuck})


def no_answer() -> tuple[list[Journey], Evidence]:
    payment = a_payment(1)
    return [a_journey(payment, trouble="no connection after 30 tries")], some_evidence(payment)


def refund_differs() -> tuple[list[Journey], Evidence]:
    payment = a_payment(1, refunded_minor=500)
    charges = {authorisation_key(payment["id"]): ChannelRecord(1000, 0, 1)}
    return [a_journey(payment)], some_evidence(payment, charges=charges)


def break_in_reconciliation() -> tuple[list[Journey], Evidence]:
    payment = a_payment(1)
    runs = [
        {"channel": "card_sim", "day": "2026-11-20", "state": "broken", "break_count": 1, "matched_count": 0}
    ]
    return [a_journey(payment)], some_evidence(payment, reconciliations=runs)


HARM: list[tuple[Callable[[], tuple[list[Journey], Evidence]], str]] = [
    (lost_payment, "lost"),
    (changed_amount, "lost"),
    (not_charged, "lost"),
    (charged_for_nobody, "lost"),
    (charged_twice, "doubled"),
    (two_payments_for_an_order, "doubled"),
    (other_replay, "doubled"),
    (event_twice, "doubled"),
    (hole_in_positions, "lost"),
    (warehouse_behind, "lost"),
    (warehouse_sums_differ, "wrong"),
    (still_open, "stuck"),
    (no_answer, "stuck"),
    (refund_differs, "wrong"),
    (break_in_reconciliation, "wrong"),
]


@pytest.mark.parametrize(("harm", "kind"), HARM, ids=[harm.__name__ for harm, _ in HARM])
def test_each_kind_of_harm_is_found(harm: Callable[[], tuple[list[Journey], Evidence]], kind: str) -> None:
    assert kind in kinds(*harm())


def test_an_order_asks_for_a_hold_when_it_is_captured_later() -> None:
    order: Order = replace(read_orders(FILE)[0], then=Then.CAPTURE)
    assert order.request()["capture"] == "manual"
    assert replace(order, then=Then.REFUND).request()["capture"] == "automatic"
