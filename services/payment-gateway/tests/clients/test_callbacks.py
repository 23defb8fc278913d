"""A channel's report is believed only when its signature, its age and its form are right (payments.md 8.2)."""

from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from payment_gateway.clients.callbacks import InvalidSignature, StaleTimestamp, verify_callback
from platform_kit.problems import DuplicateKey, MalformedJson, Problem

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
NOW_S = 1_790_000_000
BODY = b'{"channel_key": "att_1",  "outcome":"succeeded"}'


def signed(body: bytes = BODY, secret: str = SECRET, at_s: int = NOW_S, id: str = "cev_1") -> dict[str, str]:
    """Headers made by the public library, not by ours."""
    signature = Webhook(secret).sign(id, datetime.fromtimestamp(at_s, UTC), body.decode())
    return {"webhook-id": id, "webhook-timestamp": str(at_s), "webhook-signature": signature}


def test_a_good_report_gives_its_id_and_its_body() -> None:
    assert verify_callback(SECRET, signed(), BODY, now_s=NOW_S) == (
        "cev_1",
        {"channel_key": "att_1", "outcome": "succeeded"},
    )


def test_one_good_signature_among_several_is_enough() -> None:
    headers = signed()
    other = signed(secret=OTHER)["webhook-signature"]
    headers["webhook-signature"] = f"v1a,abc {other} v1,!!! {headers['webhook-signature']}"
    verify_callback(SECRET, headers, BODY, now_s=NOW_S)


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-id": ""}, {"webhook-id": "cev_2"}, {"webhook-timestamp": ""}, {"webhook-timestamp": str(NOW_S + 1)},
        {"webhook-timestamp": f"+{NOW_S}"}, {"webhook-timestamp": f" {NOW_S}"}, {"webhook-timestamp": f"{NOW_S}.0"},
        {"webhook-timestamp": "9" * 400}, {"webhook-timestamp": "٣"}, {"webhook-signature": ""},
        {"webhook-signature": "v1,"}, {"webhook-signature": "v1"}, {"webhook-signature": "v1,é"},
    ],
)  # fmt: skip
def test_changed_or_malformed_headers_are_refused(changes: dict[str, str]) -> None:
    with pytest.raises(InvalidSignature):
        verify_callback(SECRET, signed() | changes, BODY, now_s=NOW_S)


@pytest.mark.parametrize("event_id", ["cev.1", "cev 1", "c" * 256, "cév"])
def test_an_id_that_could_be_read_in_two_ways_is_refused_although_it_is_signed(event_id: str) -> None:
    with pytest.raises(InvalidSignature):
        verify_callback(SECRET, signed(id=event_id), BODY, now_s=NOW_S)


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_every_header_is_needed(missing: str) -> None:
    headers = signed()
    del headers[missing]
    with pytest.raises(InvalidSignature):
        verify_callback(SECRET, headers, BODY, now_s=NOW_S)


def test_another_version_or_another_secret_does_not_count() -> None:
    v0 = signed()["webhook-signature"].replace("v1,", "v0,")
    for headers in (signed() | {"webhook-signature": v0}, signed(secret=OTHER)):
        with pytest.raises(InvalidSignature):
            verify_callback(SECRET, headers, BODY, now_s=NOW_S)


def test_the_raw_bytes_are_signed_not_what_they_mean() -> None:
    with pytest.raises(InvalidSignature):
        verify_callback(SECRET, signed(), BODY.replace(b" ", b""), now_s=NOW_S)


def test_ten_thousand_mutations_are_all_refused() -> None:
    headers, accepted = signed(), 0
    for position in range(len(BODY)):
        for bit in range(8):
            mutated = bytearray(BODY)
            mutated[position] ^= 1 << bit
            try:
                verify_callback(SECRET, headers, bytes(mutated), now_s=NOW_S)
                accepted += 1
            except Problem:
                pass
    assert accepted == 0


@pytest.mark.parametrize(
    ("age_s", "accepted"), [(0, True), (300, True), (301, False), (-300, True), (-301, False)]
)
def test_a_report_is_fresh_for_five_minutes_either_way(age_s: int, accepted: bool) -> None:
    if accepted:
        verify_callback(SECRET, signed(at_s=NOW_S - age_s), BODY, now_s=NOW_S)
        return
    with pytest.raises(StaleTimestamp):
        verify_callback(SECRET, signed(at_s=NOW_S - age_s), BODY, now_s=NOW_S)


def test_age_is_told_only_to_who_has_the_secret() -> None:
    with pytest.raises(InvalidSignature):
        verify_callback(SECRET, signed(secret=OTHER, at_s=NOW_S - 9999), BODY, now_s=NOW_S)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"[]", MalformedJson),
        (b"{}", MalformedJson),
        (b'{"channel_key":1}', MalformedJson),
        (b'{"channel_key":""}', MalformedJson),
        (b'{"channel_key":"a","channel_key":"b"}', DuplicateKey),
        (b'{"channel_key":"a","amount_minor":NaN}', MalformedJson),
        (b'{"channel_key":"a\\u0000"}', MalformedJson),
    ],
)
def test_a_signed_report_must_still_be_well_formed(body: bytes, error: type[Problem]) -> None:
    with pytest.raises(error):
        verify_callback(SECRET, signed(body), body, now_s=NOW_S)


def test_the_refusals_are_the_documented_ones() -> None:
    assert (InvalidSignature.status, InvalidSignature.code) == (400, "invalid-signature")
    assert (StaleTimestamp.status, StaleTimestamp.code) == (400, "stale-timestamp")
