"""The model's inputs, computed from velocity windows: the same function online and in training.

All amounts enter as ratios to the customer's own history. The simulator calls every amount above 220 a fraud, and a
model that sees amounts learns that line: two and a half times the usual amount scores 7 % below it and 95 % above
(docs/adr/0023). A ratio means the same in every currency and shop, and needs history to rise.
"""

from collections.abc import Mapping

MODEL_FEATURES: tuple[str, ...] = (
    "amount_ratio_1d",
    "amount_ratio_7d",
    "amount_ratio_30d",
    "customer_count_1d",
    "customer_count_7d",
    "customer_count_30d",
    "mean_ratio_7d_30d",
    "is_weekend",
    "is_night",
)


def amount_ratio(amount: int, total: int, count: int) -> float:
    """`amount` against the mean of `count` payments that sum to `total`; 1.0 when there is nothing to compare."""
    return amount * count / total if total > 0 else 1.0


def model_features(
    amount: int, windows: Mapping[str, int | bool], *, is_weekend: bool, is_night: bool
) -> list[float]:
    """One row in the order of MODEL_FEATURES; `amount` and sums in minor units of one currency."""
    count_1d, sum_1d = windows["customer_count_1d"], windows["customer_sum_1d"]
    count_7d, sum_7d = windows["customer_count_7d"], windows["customer_sum_7d"]
    count_30d, sum_30d = windows["customer_count_30d"], windows["customer_sum_30d"]
    return [
        amount_ratio(amount, sum_1d, count_1d),
        amount_ratio(amount, sum_7d, count_7d),
        amount_ratio(amount, sum_30d, count_30d),
        float(count_1d),
        float(count_7d),
        float(count_30d),
        sum_7d * count_30d / (sum_30d * count_7d) if sum_30d and count_7d else 1.0,
        float(is_weekend),
        float(is_night),
    ]
