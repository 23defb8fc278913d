"""The table of reasons covers what the packaged set, the failure policy and the model can say."""

import pytest
from risk_rig import packaged_document

from risk_engine.domain.failure_policy import Fault
from risk_engine.domain.features import FEATURES, MODEL_FEATURES
from risk_engine.domain.reason_codes import CODE_OF_FEATURE, REASON_CODES, Source, top_reasons


@pytest.mark.parametrize("part", ["rules", "score_bands"])
def test_every_packaged_reason_is_in_the_table_with_its_sentence(part: str) -> None:
    for one in packaged_document()[part]:
        assert one["code"] in REASON_CODES
        assert REASON_CODES[one["code"]].reviewer == one["text"]


def test_no_rule_stands_in_the_table_that_is_not_packaged() -> None:
    document = packaged_document()
    packaged = {one["code"] for part in ("rules", "score_bands") for one in document[part]}
    known = {row.code for row in REASON_CODES.values() if row.source in (Source.RULE, Source.SCORE)}
    assert known == packaged


def test_every_fault_and_every_feature_has_a_code_of_its_own() -> None:
    assert {f"degraded_{fault}" for fault in Fault} <= set(REASON_CODES)
    assert set(CODE_OF_FEATURE) == set(FEATURES)
    assert len(set(CODE_OF_FEATURE.values())) == len(FEATURES)
    assert set(CODE_OF_FEATURE.values()) <= set(REASON_CODES)


def test_a_merchants_sentence_tells_no_threshold() -> None:
    """Who tests stolen cards is a merchant's customer: no number, no window, no word of the model."""
    numbers = ("two", "three", "four", "five", "six", "seven", "eight", "ten", "fifteen", "score", "within")
    for row in REASON_CODES.values():
        words = row.merchant.lower().replace(".", " ").split()
        assert not any(character.isdigit() for character in row.merchant), row
        assert not set(numbers) & set(words), row


def test_the_greatest_raising_features_are_the_reasons() -> None:
    row, contributions = [float(n) for n in range(9)], [0.5, -2.0, 1.5, 0.0, 0.1, 0.2, 0.3, 0.4, -0.1]
    found = top_reasons(MODEL_FEATURES, row, contributions)
    assert [one.feature for one in found] == [MODEL_FEATURES[n] for n in (2, 0, 7, 6, 5)]
    assert found[0].code == "model_amount_month"
    assert (found[0].value, found[0].contribution) == (2.0, 1.5)


def test_nothing_raised_is_no_reason() -> None:
    assert top_reasons(MODEL_FEATURES, [0.0] * 9, [-1.0] * 9) == ()
