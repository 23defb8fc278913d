"""A surcharge: the part of what a payer pays that is on top of the price. Integers of minor units, so every currency's
decimals are kept; what does not divide is shared out by largest remainder.
"""

from __future__ import annotations

from typing import Final

from payment_gateway.domain.fees import split

MOST_BASIS_POINTS: Final = 400
"""Of the price: the highest cap of a card scheme. A database constraint says the same."""


def most_surcharge_minor(amount_minor: int) -> int:
    """The highest surcharge within `amount_minor`, price and surcharge together, rounded down."""
    return amount_minor * MOST_BASIS_POINTS // (10_000 + MOST_BASIS_POINTS)


def share_of(surcharge_minor: int, part_minor: int, amount_minor: int) -> int:
    """How much of the surcharge is in the first `part_minor` of the amount: 0 of nothing, all of the whole."""
    if not surcharge_minor:
        return 0
    share, _ = split(surcharge_minor, (part_minor, amount_minor - part_minor))
    return share
