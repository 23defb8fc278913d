"""The envelope by itself: what opens, and what never does."""

from dataclasses import replace

import pytest
from vault_rig import VISA, keyring

from payment_gateway.domain.cards import TEST_CARDS, CardNumber, InvalidCard, checked_number
from payment_gateway.domain.envelope import InvalidKeys, Tampered, UnknownKey, keyring_of

CARD = CardNumber(VISA, 12, 2034)


def test_a_card_comes_out_as_it_went_in() -> None:
    assert keyring("k1").open(keyring("k1").seal("card_1", CARD)) == CARD


def test_two_seals_of_one_card_have_nothing_in_common_but_the_fingerprint() -> None:
    first, second = keyring("k1").seal("card_1", CARD), keyring("k1").seal("card_1", CARD)
    assert first.fingerprint == second.fingerprint
    assert first.ciphertext != second.ciphertext
    assert first.wrapped_key != second.wrapped_key


def test_a_ciphertext_that_is_moved_to_another_row_does_not_open() -> None:
    sealed = keyring("k1").seal("card_1", CARD)
    with pytest.raises(Tampered):
        keyring("k1").open(replace(sealed, id="card_2"))
    other = keyring("k1").seal("card_2", CARD)
    with pytest.raises(Tampered):
        keyring("k1").open(replace(sealed, ciphertext=other.ciphertext))


def test_a_bit_that_is_flipped_is_seen() -> None:
    sealed = keyring("k1").seal("card_1", CARD)
    broken = bytes([sealed.ciphertext[-1] ^ 1])
    with pytest.raises(Tampered):
        keyring("k1").open(replace(sealed, ciphertext=sealed.ciphertext[:-1] + broken))


def test_another_key_of_the_same_id_does_not_open() -> None:
    sealed = keyring("a1").seal("card_1", CARD)
    with pytest.raises(Tampered):
        keyring("b2").open(replace(sealed, kek_id="b2"))


def test_a_card_under_an_older_key_opens_while_that_key_is_live_and_is_refused_afterwards() -> None:
    sealed = keyring("k1").seal("card_1", CARD)
    assert keyring("k2", "k1").open(sealed) == CARD
    with pytest.raises(UnknownKey, match="k1"):
        keyring("k2").open(sealed)


def test_rewrapping_leaves_the_card_and_changes_its_key() -> None:
    sealed = keyring("k1").seal("card_1", CARD)
    rewrapped = keyring("k2", "k1").rewrap(sealed)
    assert (rewrapped.kek_id, rewrapped.ciphertext) == ("k2", sealed.ciphertext)
    assert keyring("k2").open(rewrapped) == CARD
    with pytest.raises(UnknownKey):
        keyring("k1").open(rewrapped)


def test_a_fingerprint_cannot_be_computed_without_its_key() -> None:
    """The numbers are few: with a plain hash, whoever has the table has the cards."""
    mine = keyring("k1").fingerprint(VISA)
    other = keyring("k1", secret="another-fingerprint-key-of-32-bytes")
    assert mine == keyring("k2").fingerprint(VISA)
    assert mine != other.fingerprint(VISA)


def test_a_fingerprint_has_no_digit_that_a_card_filter_could_stumble_over() -> None:
    prints = [keyring("k1").fingerprint(number) for number in TEST_CARDS]
    assert len(set(prints)) == len(prints)
    assert not any(character.isdigit() for text in prints for character in text)


@pytest.mark.parametrize(
    "keys", ["", "k1", "k1:!", "k1:aGVsbG8=", "K1:aGVsbG8=", "k1:" + "A" * 43 + "=,k1:" + "A" * 43 + "="]
)
def test_keys_that_are_not_usable_stop_the_process_and_are_not_shown(keys: str) -> None:
    with pytest.raises(InvalidKeys) as refused:
        keyring_of(keys, "x" * 32)
    assert "aGVsbG8" not in str(refused.value)


def test_a_short_fingerprint_key_is_refused() -> None:
    with pytest.raises(InvalidKeys):
        keyring_of("k1:" + "A" * 43 + "=", "short")


def test_no_repr_shows_a_number_or_a_key() -> None:
    assert VISA not in repr(CARD)
    assert "1111" not in repr(keyring("k1"))
    assert "b'" not in repr(keyring("k1").seal("card_1", CARD))


@pytest.mark.parametrize("number", TEST_CARDS)
def test_every_public_test_number_is_taken_spaced_or_not(number: str) -> None:
    assert checked_number(number) == number
    assert checked_number(" ".join(number[at : at + 4] for at in range(0, len(number), 4))) == number


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("4242424242424241", "invalid-card-number"),
        ("4111111111111111", "test-cards-only"),
        ("4012888888881881", "test-cards-only"),
        ("4242", "invalid-card-number"),
        ("4242x4242x4242x4242", "invalid-card-number"),
        ("٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢", "invalid-card-number"),
    ],
)
def test_any_other_number_is_refused_by_what_it_is(number: str, code: str) -> None:
    with pytest.raises(InvalidCard) as refused:
        checked_number(number)
    assert refused.value.code == code
    assert number not in str(refused.value)
