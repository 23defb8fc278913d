"""Fee plans: data, and pure arithmetic over integers of minor units.

A fee is a share in basis points, rounded half-even, plus a fixed part, within a least and a most. What is shared out
adds up to the whole: the largest remainders get the units that are left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

BASIS_POINTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class FeeRule:
    """`fixed_minor`, `least_minor` and `most_minor` by currency, in its minor units; an absent one counts as none."""

    basis_points: int
    method: str | None = None
    """card | wallet | bank; None = any."""
    fixed_minor: Mapping[str, int] = field(default_factory=dict)
    least_minor: Mapping[str, int] = field(default_factory=dict)
    most_minor: Mapping[str, int] = field(default_factory=dict)

    def fee_minor(self, amount_minor: int, currency: str) -> int:
        """Never more than the amount itself."""
        fee = half_even(amount_minor * self.basis_points, BASIS_POINTS) + self.fixed_minor.get(currency, 0)
        fee = max(fee, self.least_minor.get(currency, 0))
        if (most := self.most_minor.get(currency)) is not None:
            fee = min(fee, most)
        return min(fee, amount_minor)


@dataclass(frozen=True, slots=True)
class FeePlan:
    """The first rule that fits a payment's method counts; none that fits: no fee."""

    rules: tuple[FeeRule, ...]
    returns_on_refund: bool = False
    """Whether a refund gives the fee back, in proportion to what it refunds of the captures."""
    dispute_minor: Mapping[str, int] = field(default_factory=dict)
    """What a dispute costs when it opens, by currency, in its minor units; an absent one costs nothing."""
    dispute_returns_when_won: bool = False

    def fee_minor(self, method: str | None, amount_minor: int, currency: str) -> int:
        for rule in self.rules:
            if rule.method in (None, method):
                return rule.fee_minor(amount_minor, currency)
        return 0


def plan_of(stored: Mapping[str, Any] | None) -> FeePlan | None:
    """A plan as it is stored: {"rules": [{"basis_points": 140, "method": "card", "fixed_minor": {"EUR": 25}}]}."""
    if not stored:
        return None
    return FeePlan(**{**stored, "rules": tuple(FeeRule(**rule) for rule in stored["rules"])})


def returned_share(whole_minor: int, returned_minor: int, refunded_minor: int, captured_minor: int) -> int:
    """What one refund gives back of `whole_minor` (a fee, a surcharge), when `refunded_minor` is what is refunded of
    `captured_minor` with it, and `returned_minor` what earlier refunds gave back.

    The largest remainder decides over the refunds so far, not each alone: a full refund in whatever parts gives back
    the whole, and no part of it twice.
    """
    so_far, _ = split(whole_minor, (refunded_minor, captured_minor - refunded_minor))
    return max(0, so_far - returned_minor)


def half_even(numerator: int, denominator: int) -> int:
    """The quotient of integers >= 0, rounded to the nearest, halves to the even one."""
    quotient, rest = divmod(numerator, denominator)
    doubled = 2 * rest
    return quotient + (doubled > denominator or (doubled == denominator and quotient % 2 == 1))


def split(amount_minor: int, weights: Sequence[int]) -> list[int]:
    """Parts in proportion to `weights` whose sum is the amount: the largest remainders get what rounding left."""
    whole = sum(weights)
    if whole <= 0 or min(weights) < 0:
        raise ValueError("weights are not negative, and one is positive")
    parts = [amount_minor * weight // whole for weight in weights]
    remainders = sorted(range(len(weights)), key=lambda i: (-(amount_minor * weights[i] % whole), i))
    for i in remainders[: amount_minor - sum(parts)]:
        parts[i] += 1
    return parts
