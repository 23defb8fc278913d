"""Who is on a list, and what of a payment a list looks at."""

from datetime import timedelta
from typing import Any

import pytest
from risk_rig import NOON, a_subject

from risk_engine.domain.facts import fingerprint
from risk_engine.domain.fingerprints import Fingerprints
from risk_engine.domain.lists import Entry, Lists, ListType, fault_of, forms_of

SUBJECT = a_subject(
    card=fingerprint("card", "tok_visa_4711"),
    customer_id="sub_1",
    email=fingerprint("email", "ann@example.com"),
    ip=fingerprint("ip", "192.0.2.1"),
    device=fingerprint("device", "d-1"),
    card_bin="42424242",
    country="DE",
)


def listed(kind: ListType, value: str, subject: Any = SUBJECT, **changes: Any) -> bool:
    lists = Lists()
    lists.apply([Entry("mine", kind, forms_of(kind, value, Fingerprints())[0], changes.get("expires_at"))])
    return lists.facts(["mine"], subject, changes.get("now", NOON))["list_mine"]


@pytest.mark.parametrize(
    ("kind", "value", "another"),
    [
        (ListType.CARD, "tok_visa_4711", "tok_visa_4712"),
        (ListType.CUSTOMER, "mer_1/sub_1", "mer_2/sub_1"),
        (ListType.EMAIL, "Ann@Example.com", "bob@example.com"),
        (ListType.IP, "192.0.2.1", "192.0.2.2"),
        (ListType.DEVICE, "d-1", "d-2"),
        (ListType.BIN, "424242", "424243"),
        (ListType.BIN, "42424242", "42424241"),
        (ListType.COUNTRY, "DE", "FR"),
        (ListType.MERCHANT, "mer_1", "mer_2"),
    ],
)
def test_each_type_looks_at_its_own_part_of_a_payment(kind: ListType, value: str, another: str) -> None:
    assert listed(kind, value)
    assert not listed(kind, another)


@pytest.mark.parametrize("kind", list(ListType))
def test_what_a_payment_does_not_have_is_on_no_list(kind: ListType) -> None:
    empty = a_subject(card="", customer_id="", country="", ip="", device="", merchant_id="mer_9")
    for value in ("tok_visa_4711", "mer_1/sub_1", "ann@example.com", "424242", "DE", "mer_1"):
        try:
            assert not listed(kind, value, empty)
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("kind", "value"),
    [(ListType.BIN, "4242"), (ListType.COUNTRY, "de"), (ListType.EMAIL, "nobody"), (ListType.CUSTOMER, "c1"),
     (ListType.CARD, "")],
)  # fmt: skip
def test_a_value_that_no_payment_can_have_is_refused(kind: ListType, value: str) -> None:
    with pytest.raises(ValueError, match=kind.value):
        forms_of(kind, value, Fingerprints())


def test_a_merchant_s_own_id_of_a_customer_is_refused_in_words() -> None:
    """Payments carry the token alone, so it would stand on the list and meet nobody."""
    assert fault_of(ListType.CUSTOMER, "mer_1/sub_01k") is None
    with pytest.raises(ValueError, match="<merchant id>/sub_…"):
        forms_of(ListType.CUSTOMER, "mer_1/customer-17", Fingerprints())


def test_an_entry_ends_at_its_time() -> None:
    ends = NOON + timedelta(minutes=1)
    assert listed(ListType.COUNTRY, "DE", expires_at=ends)
    assert not listed(ListType.COUNTRY, "DE", expires_at=ends, now=ends)


def test_changes_are_applied_in_order_and_an_unknown_list_has_nobody() -> None:
    lists = Lists()
    on = Entry("mine", ListType.COUNTRY, "DE", None)
    lists.apply([on, Entry("mine", ListType.COUNTRY, "DE", None, is_removed=True)])
    assert lists.facts(["mine", "gone"], SUBJECT, NOON) == {"list_mine": False, "list_gone": False}
    lists.apply([on])
    assert lists.facts(["mine"], SUBJECT, NOON) == {"list_mine": True}
    assert dict(lists.names()) == {"mine": ListType.COUNTRY}


def test_an_entry_that_ended_hides_no_other() -> None:
    """The first six digits were listed until a minute ago, all eight still are."""
    lists, minute = Lists(), timedelta(minutes=1)
    lists.apply(
        [
            Entry("mine", ListType.BIN, "424242", NOON - minute),
            Entry("mine", ListType.BIN, "42424242", None),
        ]
    )
    assert lists.facts(["mine"], SUBJECT, NOON) == {"list_mine": True}
    lists.forget_ended(NOON)
    assert lists.facts(["mine"], SUBJECT, NOON) == {"list_mine": True}


def test_what_ended_takes_no_memory() -> None:
    lists = Lists()
    lists.apply([Entry("mine", ListType.COUNTRY, "DE", NOON)])
    lists.forget_ended(NOON)
    assert lists.facts(["mine"], SUBJECT, NOON - timedelta(minutes=1)) == {"list_mine": False}
