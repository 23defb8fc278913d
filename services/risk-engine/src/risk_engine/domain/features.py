"""The model's inputs, computed from velocity windows: the same function online and in training.

All amounts enter as ratios to the customer's own history. The simulator calls every amount above 220 a fraud, and a
model that sees amounts learns that line: two and a half times the usual amount scores 7 % below it and 95 % above
(docs/adr/0023). A ratio means the same in every currency and shop, and needs history to rise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class Feature:
    """One input of the model: `default` stands when there is no history, and a feature that `only_raises` never
    makes a payment look safer by growing (a monotone constraint of the training)."""

    about: str
    default: float
    only_raises: bool


FEATURES: Mapping[str, Feature] = MappingProxyType(
    {
        "amount_ratio_1d": Feature("amount against the customer's mean of 1 day", 1.0, True),
        "amount_ratio_7d": Feature("amount against the customer's mean of 7 days", 1.0, True),
        "amount_ratio_30d": Feature("amount against the customer's mean of 30 days", 1.0, True),
        "customer_count_1d": Feature("payments of the customer in 1 day", 0.0, True),
        "customer_count_7d": Feature("payments of the customer in 7 days", 0.0, True),
        "customer_count_30d": Feature("payments of the customer in 30 days", 0.0, True),
        "mean_ratio_7d_30d": Feature("the customer's mean of 7 days against that of 30 days", 1.0, True),
        "is_weekend": Feature("1 on Saturday and Sunday, UTC", 0.0, False),
        "is_night": Feature("1 from hour 0 to hour 6, UTC", 0.0, False),
        # Not in the packaged model: the handbook's benchmark asks for them.
        "amount": Feature("amount in minor units of the reference currency", 0.0, True),
        "customer_mean_1d": Feature("mean amount of the customer in 1 day", 0.0, False),
        "customer_mean_7d": Feature("mean amount of the customer in 7 days", 0.0, False),
        "customer_mean_30d": Feature("mean amount of the customer in 30 days", 0.0, False),
        "ratio_to_mean_1d": Feature("amount against the mean of the customer's others in 1 day", 1.0, True),
        "ratio_to_mean_7d": Feature("amount against the mean of the customer's others in 7 days", 1.0, True),
        "ratio_to_mean_30d": Feature(
            "amount against the mean of the customer's others in 30 days", 1.0, True
        ),
        "terminal_count_1d": Feature("payments at the terminal in 1 day, a week ago", 0.0, False),
        "terminal_count_7d": Feature("payments at the terminal in 7 days, until a week ago", 0.0, False),
        "terminal_count_30d": Feature("payments at the terminal in 30 days, until a week ago", 0.0, False),
        "terminal_risk_1d": Feature("share of frauds among those of 1 day", 0.0, True),
        "terminal_risk_7d": Feature("share of frauds among those of 7 days", 0.0, True),
        "terminal_risk_30d": Feature("share of frauds among those of 30 days", 0.0, True),
        "terminal_frauds_14d": Feature("frauds at the terminal in 14 days, until a week ago", 0.0, True),
        "terminal_frauds_28d": Feature("frauds at the terminal in 28 days, until a week ago", 0.0, True),
        "terminal_first_fraud_hours": Feature("hours since the first of those of 28 days", 0.0, False),
        "terminal_last_fraud_hours": Feature("hours since the last of them", 0.0, False),
        "largest_ratio_1d": Feature(
            "the customer's largest earlier amount of 1 day against the mean of 30", 0.0, True
        ),
        "largest_ratio_7d": Feature(
            "the customer's largest earlier amount of 7 days against the mean of 30", 0.0, True
        ),
        "largest_ratio_14d": Feature(
            "the customer's largest earlier amount of 14 days against the mean of 30", 0.0, True
        ),
    }
)
MODEL_FEATURES: tuple[str, ...] = tuple(FEATURES)[:9]  # of the packaged model; another one names its own


_OF_FRAUDS = (
    "terminal_frauds_14d",
    "terminal_frauds_28d",
    "terminal_first_fraud_hours",
    "terminal_last_fraud_hours",
)


def amount_ratio(amount: int, total: int, count: int) -> float:
    """`amount` against the mean of `count` payments that sum to `total`; 1.0 when there is nothing to compare."""
    return amount * count / total if total > 0 else 1.0


def mean(total: int, count: int) -> float:
    """Mean of `count` payments; 0.0 of none."""
    return total / count if count else 0.0


def model_features(
    amount: int,
    windows: Mapping[str, int | bool],
    *,
    is_weekend: bool,
    is_night: bool,
    names: tuple[str, ...] = MODEL_FEATURES,
) -> list[float]:
    """One row in the order of `names`, all of them in FEATURES; `amount` and sums in minor units of one currency. The
    windows contain the payment itself."""
    count_1d, sum_1d = windows["customer_count_1d"], windows["customer_sum_1d"]
    count_7d, sum_7d = windows["customer_count_7d"], windows["customer_sum_7d"]
    count_30d, sum_30d = windows["customer_count_30d"], windows["customer_sum_30d"]
    row = {
        "amount_ratio_1d": amount_ratio(amount, sum_1d, count_1d),
        "amount_ratio_7d": amount_ratio(amount, sum_7d, count_7d),
        "amount_ratio_30d": amount_ratio(amount, sum_30d, count_30d),
        "customer_count_1d": float(count_1d),
        "customer_count_7d": float(count_7d),
        "customer_count_30d": float(count_30d),
        "mean_ratio_7d_30d": sum_7d * count_30d / (sum_30d * count_7d) if sum_30d and count_7d else 1.0,
        "is_weekend": float(is_weekend),
        "is_night": float(is_night),
    }
    if names is not MODEL_FEATURES:
        row |= {
            "amount": float(amount),
            "customer_mean_1d": mean(sum_1d, count_1d),
            "customer_mean_7d": mean(sum_7d, count_7d),
            "customer_mean_30d": mean(sum_30d, count_30d),
            "ratio_to_mean_1d": amount_ratio(amount, sum_1d - amount, count_1d - 1),
            "ratio_to_mean_7d": amount_ratio(amount, sum_7d - amount, count_7d - 1),
            "ratio_to_mean_30d": amount_ratio(amount, sum_30d - amount, count_30d - 1),
            **{
                f"largest_ratio_{span}": windows.get(f"customer_largest_{span}", 0)
                * count_30d
                / max(sum_30d, 1)
                for span in ("1d", "7d", "14d")
            },
            **_terminal_features(windows),
        }
    return [row[name] for name in names]


def features_of_decision(facts: Mapping[str, Any], names: tuple[str, ...]) -> list[float]:
    """The row that a model saw of a stored decision, in the order of `names`, from the facts of its moment."""
    return model_features(
        facts["amount_reference_minor"],
        facts,
        is_weekend=facts["is_weekend"],
        is_night=facts["is_night"],
        names=names,
    )


def _terminal_features(windows: Mapping[str, int | bool]) -> dict[str, float]:
    """Counts and shares of frauds; no share when the cap was reached, because its count is then too low."""
    is_whole = not windows["terminal_payments_saturated"]
    counts = {span: windows[f"terminal_count_{span}"] for span in ("1d", "7d", "30d")}
    return (
        {f"terminal_count_{span}": float(count) for span, count in counts.items()}
        | {
            f"terminal_risk_{span}": mean(windows[f"terminal_frauds_{span}"], count) if is_whole else 0.0
            for span, count in counts.items()
        }
        # Decisions that were stored before a window was read have none of it: a model that asks finds its default.
        | {name: float(windows.get(name, 0)) for name in _OF_FRAUDS}
    )
