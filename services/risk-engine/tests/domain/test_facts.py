"""Facts are complete, flat and typed as declared; the model's row is made of the same windows."""

from datetime import UTC, datetime

import pytest
from risk_rig import a_subject, an_assessment

from risk_engine.domain.assessment import request_of, subject_of
from risk_engine.domain.facts import FACTS, Fact, build_facts, fingerprint, is_night, is_weekend, no_windows
from risk_engine.domain.failure_policy import Band
from risk_engine.domain.features import MODEL_FEATURES, amount_ratio, model_features
from risk_engine.domain.velocity import empty_windows


@pytest.mark.parametrize(
    "subject", [a_subject(), a_subject(card="", customer_id="", ip="", device="", country="")]
)
def test_every_declared_fact_is_there_with_its_type(subject) -> None:  # type: ignore[no-untyped-def]
    facts = build_facts(subject, Band.HIGH, None, no_windows(), None)
    assert {name: type(value) for name, value in facts.items()} == dict(FACTS)


def test_facts_say_what_is_known_of_the_payer() -> None:
    facts = build_facts(a_subject(card="", customer_id=""), Band.LOW, 1250, no_windows(), 7)
    assert (facts["has_card"], facts["has_customer"], facts["has_device"]) == (False, False, True)
    assert (facts["score"], facts["amount_reference_minor"]) == (7, 1250)


def test_places_differ_when_both_are_known() -> None:
    def facts(**changes: str) -> dict[str, Fact]:
        return build_facts(a_subject(**changes), Band.LOW, 1250, no_windows(), 0)

    abroad = facts(country="DE", card_country="DE", ip_country="SG")
    assert (abroad["ip_country"], abroad["ip_card_differ"], abroad["ip_customer_differ"]) == (
        "SG",
        True,
        True,
    )
    assert not facts(ip_country="DE", country="DE", card_country="DE")["ip_card_differ"]
    assert not facts(ip_country="SG", country="", card_country="")["ip_card_differ"]
    assert not facts(ip_country="", country="DE", card_country="DE")["ip_customer_differ"]


def test_a_customer_belongs_to_a_merchant_and_a_card_to_nobody() -> None:
    one, other = a_subject(merchant_id="mer_1").entities(), a_subject(merchant_id="mer_2").entities()
    assert one["customer"] != other["customer"]
    assert one["card"] == other["card"]
    assert a_subject(customer_id="").entities()["customer"] == "card-1"


def test_one_key_is_one_event_also_under_a_new_payment_id() -> None:
    assert a_subject().event_id == a_subject(payment_id="pay_other").event_id
    assert a_subject().event_id != a_subject(key="other").event_id


def test_a_fingerprint_hides_and_separates() -> None:
    assert "tok_visa" not in fingerprint("card", "tok_visa_4711")
    assert fingerprint("card", "x") != fingerprint("ip", "x")
    assert fingerprint("card", "") == ""


@pytest.mark.parametrize(
    ("day", "hour", "weekend", "night"),
    [(20, 23, False, False), (21, 0, True, True), (22, 6, True, True), (23, 7, False, False)],
)
def test_weekend_and_night_are_those_of_the_handbook(day: int, hour: int, weekend: bool, night: bool) -> None:
    at = datetime(2026, 11, day, hour, 59, tzinfo=UTC)
    assert (is_weekend(at), is_night(at)) == (weekend, night)


def test_a_stored_request_gives_the_subject_back() -> None:
    for subject in (
        a_subject(),
        a_subject(email="email-1", ip_country="SG", terminal="till-1", card_bin="411111", card_country="DE"),
        a_subject(card="", customer_id="", ip="", device="", country="", method="wallet"),
    ):
        assert (
            subject_of(subject.merchant_id, subject.key, subject.payment_id, request_of(subject)) == subject
        )


def test_ratios_compare_with_the_customers_own_mean() -> None:
    windows = empty_windows()
    for span, count, total in (("1d", 1, 500), ("7d", 2, 600), ("30d", 5, 900)):
        windows |= {f"customer_count_{span}": count, f"customer_sum_{span}": total}
    row = dict(
        zip(MODEL_FEATURES, model_features(500, windows, is_weekend=True, is_night=False), strict=True)
    )
    assert row == {
        "amount_ratio_1d": 1.0,
        "amount_ratio_7d": 500 / 300,
        "amount_ratio_30d": 500 / 180,
        "customer_count_1d": 1.0,
        "customer_count_7d": 2.0,
        "customer_count_30d": 5.0,
        "mean_ratio_7d_30d": 300 / 180,
        "is_weekend": 1.0,
        "is_night": 0.0,
    }


def test_without_a_history_every_ratio_is_one() -> None:
    row = dict(
        zip(MODEL_FEATURES, model_features(0, empty_windows(), is_weekend=False, is_night=True), strict=True)
    )
    assert (row["amount_ratio_30d"], row["mean_ratio_7d_30d"], row["is_night"]) == (1.0, 1.0, 1.0)
    assert amount_ratio(100, 0, 0) == 1.0


def test_an_assessment_is_rendered_in_plain_values() -> None:
    made = an_assessment()
    answer = made.as_answer()
    assert answer["decision"] == "review"
    assert answer["reasons"] == [{"code": "code_1", "text": "A sentence."}]
    assert answer["degraded"] == ["model"]
    assert answer["expires_at"] == "2026-11-23T12:15:00.000000Z"
    assert made.subject.occurred_at_ms == 1795435200000
