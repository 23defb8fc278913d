"""v1a and the styles: fixed vectors, one signature per live key, and nothing that was bent is accepted."""

from __future__ import annotations

import base64
import random
from datetime import UTC, datetime

import orjson
import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from svix.webhooks import Webhook as SvixWebhook
from svix.webhooks import WebhookVerificationError as SvixVerificationError

from payment_gateway.domain.webhook import InvalidSignature, StaleTimestamp, new_secret, verify
from payment_gateway.domain.webhook_keys import (
    Keys,
    headers_of,
    new_private_key,
    public_key_of,
    sign_v1a,
    verify_v1a,
)
from payment_gateway.domain.webhook_style import RENDERERS, StoredEvent, render_event, style_headers

# The seed of RFC 8032 7.1, test 1, whose public key the RFC gives; the signature was made with it once and is checked
# by Node's crypto too (by hand).
SEED = (
    "whsk_"
    + base64.b64encode(
        bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    ).decode()
)
PUBLIC = (
    "whpk_"
    + base64.b64encode(
        bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    ).decode()
)
MESSAGE = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
SIGNATURE = "v1a,fldxM4gAKugP6nnt1hdz3sgGfZ6d99nzrMFnZOELIxbzEHoVmAb2ADpkJK7zgPePmPsle0zV9jSeGlHFG2NVAw=="

NOW_S = int(datetime.now(UTC).timestamp())
SECRET = new_secret()
BODY = b'{"id":"evt_1","amount_minor":1250}'
MUTANTS = 10_000


def test_the_public_key_is_that_of_the_rfc() -> None:
    assert public_key_of(SEED) == PUBLIC


def test_an_ed25519_signature_is_the_same_for_ever() -> None:
    assert sign_v1a(SEED, *MESSAGE) == SIGNATURE
    verify_v1a(PUBLIC, MESSAGE[0], str(MESSAGE[1]), SIGNATURE, MESSAGE[2])


@pytest.mark.parametrize(
    ("message_id", "timestamp", "body"),
    [
        ("msg_other", MESSAGE[1], MESSAGE[2]),
        (MESSAGE[0], MESSAGE[1] + 1, MESSAGE[2]),
        (MESSAGE[0], MESSAGE[1], b"{}"),
    ],
    ids=["id", "timestamp", "body"],
)
def test_an_ed25519_signature_covers_id_timestamp_and_body(
    message_id: str, timestamp: int, body: bytes
) -> None:
    with pytest.raises(InvalidSignature):
        verify_v1a(PUBLIC, message_id, str(timestamp), SIGNATURE, body)


def test_another_endpoints_key_does_not_fit() -> None:
    with pytest.raises(InvalidSignature):
        verify_v1a(public_key_of(new_private_key()), MESSAGE[0], str(MESSAGE[1]), SIGNATURE, MESSAGE[2])


def test_every_live_key_signs_in_both_ways_and_libraries_accept_one_of_several() -> None:
    old, new = Keys(new_secret(), new_private_key()), Keys(new_secret(), new_private_key())
    now_s = int(
        datetime.now(UTC).timestamp()
    )  # libraries refuse what is five minutes old, and a whole run takes longer
    headers = headers_of([new, old], "evt_1", now_s, BODY)
    kinds = [part.split(",")[0] for part in headers["webhook-signature"].split(" ")]
    assert kinds == ["v1", "v1", "v1a", "v1a"]
    for keys in (old, new):
        Webhook(keys.secret).verify(BODY, headers)
        SvixWebhook(keys.secret).verify(BODY, headers)
        assert keys.private_key
        verify_v1a(public_key_of(keys.private_key), "evt_1", str(now_s), headers["webhook-signature"], BODY)


@pytest.mark.parametrize("library", ["standardwebhooks", "svix"])
@pytest.mark.parametrize(
    ("offset_s", "body", "accepted"),
    [(0, BODY, True), (-290, BODY, True), (290, BODY, True), (-310, BODY, False), (310, BODY, False),
     (0, BODY + b" ", False), (0, BODY.replace(b"1250", b"9250"), False)],
    ids=["now", "old", "ahead", "too old", "too far ahead", "longer", "other amount"],
)  # fmt: skip
def test_the_public_libraries_judge_as_we_do(
    library: str, offset_s: int, body: bytes, accepted: bool
) -> None:
    signed_at_s = int(datetime.now(UTC).timestamp()) + offset_s
    headers = headers_of([Keys(SECRET)], "evt_1", signed_at_s, BODY)

    def theirs() -> None:
        (Webhook if library == "standardwebhooks" else SvixWebhook)(SECRET).verify(body, headers)

    def ours() -> None:
        at = headers["webhook-timestamp"]
        verify(SECRET, "evt_1", at, headers["webhook-signature"], body, datetime.now(UTC).timestamp())

    if accepted:
        theirs()
        ours()
        return
    with pytest.raises((WebhookVerificationError, SvixVerificationError)):
        theirs()
    with pytest.raises((InvalidSignature, StaleTimestamp)):
        ours()


def test_of_ten_thousand_bent_signatures_none_is_accepted() -> None:
    """Each differs from the good header in a bit, a character, its length, its version or its order."""
    dice = random.Random(20261126)
    keys = Keys(SECRET, SEED)
    good = headers_of([keys], "evt_1", NOW_S, BODY)
    for number in range(MUTANTS):
        bent = bend(good["webhook-signature"].split(" ")[0], dice)
        with pytest.raises(InvalidSignature):
            verify(SECRET, "evt_1", str(NOW_S), bent, BODY, NOW_S)
        if number % 100 == 0:
            for library in (Webhook, SvixWebhook):
                # ValueError: they leave a header that is not base64 to their callers
                with pytest.raises((WebhookVerificationError, SvixVerificationError, ValueError)):
                    library(SECRET).verify(BODY, good | {"webhook-signature": bent})
        if number % 10 == 0:
            bent = bend(good["webhook-signature"].split(" ")[1], dice)
            with pytest.raises(InvalidSignature):
                verify_v1a(PUBLIC, "evt_1", str(NOW_S), bent, BODY)


def bend(signature: str, dice: random.Random) -> str:
    """Another header than `signature`, whose bytes are others too."""
    version, _, encoded = signature.partition(",")
    raw = bytearray(base64.b64decode(encoded))
    match dice.randrange(5):
        case 0:
            raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
        case 1:
            raw = raw[: dice.randrange(len(raw))]
        case 2:
            raw += dice.randbytes(dice.randrange(1, 32))
        case 3:
            raw = bytearray(dice.randbytes(len(raw)))
        case _:
            return f"{dice.choice(['v0', 'v2', 'V1', '', 'v1 '])},{encoded}"
    return f"{version},{base64.b64encode(bytes(raw)).decode()}"


def an_event() -> StoredEvent:
    at = datetime(2026, 11, 26, 12, tzinfo=UTC)
    return StoredEvent("evt_1", "payment.captured.v1", "pay_1", "mer_1", at, '{"payment": null}')


def test_an_endpoint_in_stripes_style_gets_stripes_header_for_every_live_secret() -> None:
    headers = style_headers("stripe", ["whsec_test_secret", "whsec_older"], 1614265330, b'{"id":"evt_1"}')
    first = "e135cdbed3dda004bf8a2fb350f2541d299393c770e0b9e6e319dc595e9072aa"
    assert headers["Stripe-Signature"].startswith(f"t=1614265330,v1={first},v1=")
    assert headers["Stripe-Signature"].count("v1=") == 2
    assert style_headers("native", ["whsec_test_secret"], 1614265330, b"{}") == {}


def test_a_style_chooses_the_body_and_one_without_its_own_gets_the_native_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = orjson.loads(render_event("stripe", an_event()))
    assert (shown["object"], shown["type"]) == ("event", "payment.captured"), (
        "without a payment no intent is told"
    )
    monkeypatch.delitem(RENDERERS, "stripe")
    assert render_event("stripe", an_event()) == render_event("native", an_event())


def test_a_timestamp_is_judged_to_the_second() -> None:
    headers = headers_of([Keys(SECRET)], "evt_1", NOW_S, BODY)
    for age, accepted in ((300, True), (301, False), (-300, True), (-301, False)):
        arguments = (SECRET, "evt_1", str(NOW_S), headers["webhook-signature"], BODY, NOW_S + age)
        if accepted:
            verify(*arguments)
        else:
            with pytest.raises(StaleTimestamp):
                verify(*arguments)
