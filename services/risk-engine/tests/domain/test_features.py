"""The model's inputs from windows: each by its plain meaning, in the order that is asked for."""

import pytest

from risk_engine.domain.features import FEATURES, MODEL_FEATURES, model_features
from risk_engine.domain.velocity import empty_windows

# 30, 20 and 10 euro within the month, week and day, then this payment of 40.
WINDOWS = empty_windows() | {
    "customer_count_1d": 2, "customer_sum_1d": 5_000, "customer_count_7d": 3, "customer_sum_7d": 7_000,
    "customer_count_30d": 4, "customer_sum_30d": 10_000,
    "terminal_count_7d": 4, "terminal_count_30d": 10, "terminal_frauds_7d": 1, "terminal_frauds_30d": 5,
    "terminal_frauds_14d": 2, "terminal_frauds_28d": 4, "terminal_first_fraud_hours": 700,
    "terminal_last_fraud_hours": 170, "customer_largest_1d": 1_000, "customer_largest_7d": 2_000,
    "customer_largest_14d": 3_000,
}  # fmt: skip
ALL = tuple(FEATURES)
OLD_FRAUDS = {"terminal_frauds_1d", "terminal_frauds_7d", "terminal_frauds_30d", "terminal_frauds_saturated"}


def row_of(amount: int, windows: dict[str, int | bool]) -> dict[str, float]:
    values = model_features(amount, windows, is_weekend=True, is_night=False, names=ALL)
    return dict(zip(ALL, values, strict=True))


def test_each_feature_by_hand() -> None:
    assert row_of(4_000, WINDOWS) == pytest.approx(
        {
            "amount_ratio_1d": 4_000 / 2_500, "amount_ratio_7d": 4_000 * 3 / 7_000, "amount_ratio_30d": 4_000 / 2_500,
            "customer_count_1d": 2, "customer_count_7d": 3, "customer_count_30d": 4,
            "mean_ratio_7d_30d": (7_000 / 3) / 2_500, "is_weekend": 1, "is_night": 0,
            "amount": 4_000, "customer_mean_1d": 2_500, "customer_mean_7d": 7_000 / 3, "customer_mean_30d": 2_500,
            "ratio_to_mean_1d": 4.0, "ratio_to_mean_7d": 4_000 / 1_500, "ratio_to_mean_30d": 2.0,
            "terminal_count_1d": 0, "terminal_count_7d": 4, "terminal_count_30d": 10,
            "terminal_risk_1d": 0, "terminal_risk_7d": 0.25, "terminal_risk_30d": 0.5,
            "terminal_frauds_14d": 2, "terminal_frauds_28d": 4, "terminal_first_fraud_hours": 700,
            "terminal_last_fraud_hours": 170, "largest_ratio_1d": 0.4, "largest_ratio_7d": 0.8,
            "largest_ratio_14d": 1.2,
        }
    )  # fmt: skip


def test_without_history_every_feature_has_its_default() -> None:
    row = row_of(0, empty_windows())
    assert row | {"is_weekend": 0.0} == {name: feature.default for name, feature in FEATURES.items()}


def test_a_terminal_past_its_cap_has_no_share() -> None:
    """Its count is too low: two frauds of three hundred would look like two of two."""
    row = row_of(4_000, WINDOWS | {"terminal_payments_saturated": True})
    assert (row["terminal_count_30d"], row["terminal_risk_30d"], row["terminal_risk_7d"]) == (10, 0, 0)


def test_a_decision_of_before_a_window_was_read_has_its_default() -> None:
    """A candidate is judged, and a decision replayed, from facts as they were stored."""
    later = {name for name in WINDOWS if name.startswith(("customer_largest", "terminal_f"))}
    stored = {name: value for name, value in WINDOWS.items() if name not in later - OLD_FRAUDS}
    row = row_of(4_000, stored)
    assert (row["largest_ratio_7d"], row["terminal_first_fraud_hours"], row["terminal_risk_7d"]) == (
        0,
        0,
        0.25,
    )


def test_a_row_is_in_the_order_of_the_models_names() -> None:
    names = ("amount", "is_night", "customer_count_30d")
    assert model_features(4_000, WINDOWS, is_weekend=True, is_night=True, names=names) == [4_000.0, 1.0, 4.0]
    assert len(model_features(4_000, WINDOWS, is_weekend=True, is_night=True)) == len(MODEL_FEATURES)
