"""How an e-mail, an address and a device are named, so that nobody finds them by trying all out."""

from __future__ import annotations

import pytest

from risk_engine.domain.facts import fingerprint
from risk_engine.domain.fingerprints import Fingerprints, InvalidFingerprintKeys, fingerprints_of

ONE, TWO = "k1:" + "a" * 32, "k2:" + "b" * 32
FIRST, SECOND = fingerprints_of(ONE), fingerprints_of(f"{TWO},{ONE}")
ADDRESS = "203.0.113.77"


@pytest.mark.parametrize("kind", ["email", "ip", "device"])
def test_what_can_be_guessed_is_named_by_a_key(kind: str) -> None:
    named = FIRST.of(kind, ADDRESS)
    assert named.startswith("k1.")
    assert fingerprint(kind, ADDRESS) not in named
    assert named != fingerprints_of("k1:" + "c" * 32).of(kind, ADDRESS)
    assert FIRST.of(kind, "") == ""


@pytest.mark.parametrize("kind", ["card", "customer", "terminal"])
def test_a_token_is_named_as_ever(kind: str) -> None:
    assert SECOND.of(kind, "tok_visa") == fingerprint(kind, "tok_visa")


def test_a_name_of_before_is_brought_up_to_date_without_its_value() -> None:
    before = Fingerprints().of("ip", ADDRESS)
    assert FIRST.upgraded(before) == FIRST.of("ip", ADDRESS)
    assert SECOND.upgraded(before) == SECOND.upgraded(FIRST.of("ip", ADDRESS)) == SECOND.of("ip", ADDRESS)
    assert SECOND.upgraded(SECOND.of("ip", ADDRESS)) == SECOND.of("ip", ADDRESS)
    assert SECOND.upgraded("") == ""
    assert SECOND.forms_of("ip", ADDRESS) == [SECOND.of("ip", ADDRESS), FIRST.of("ip", ADDRESS), before]


def test_a_name_under_a_key_that_is_not_known_here_stays_as_it_is() -> None:
    assert FIRST.upgraded(SECOND.of("ip", ADDRESS)) == SECOND.of("ip", ADDRESS)


def test_what_payments_are_linked_by_is_brought_up_to_date_where_it_is_keyed() -> None:
    before = fingerprint("ip", ADDRESS)
    assert FIRST.upgraded_entity(f"ip:{before}") == f"ip:{FIRST.of('ip', ADDRESS)}"
    assert FIRST.upgraded_entity(f"card:{before}") == f"card:{before}"


@pytest.mark.parametrize("keys", ["k1:short", "K 1:" + "a" * 32, f"{ONE},{ONE}", "a" * 40])
def test_keys_that_are_not_usable_stop_the_process(keys: str) -> None:
    with pytest.raises(InvalidFingerprintKeys) as refused:
        fingerprints_of(keys)
    assert "a" * 32 not in str(refused.value)
