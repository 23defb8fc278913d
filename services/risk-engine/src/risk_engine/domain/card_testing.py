"""Enumeration: somebody tries card numbers at a merchant until one is good.

What gives it away is the shape of many payments together, which no single decision sees: many cards, each tried once
or twice, from few devices or addresses, for small amounts, and most of them refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from risk_engine.domain.alerts import Signal

WINDOW = timedelta(minutes=10)
CARDS_MIN = 20
FAILED_MIN = 10  # a merchant with fewer refusals is not looked at
TRIES_PER_CARD_MAX = 2.0
CARDS_PER_SOURCE_MIN = 5.0  # a family shares a device, a crowd does not
SMALL_MINOR = 500  # in the reference currency
SMALL_SHARE_MIN = 0.8
FAILED_SHARE_MIN = 0.5
FAILED_SHARE_MIN_UNSEEN = 0.8  # without devices and addresses the refusals alone must say it


@dataclass(frozen=True, slots=True)
class MerchantCards:
    """Card payments of one merchant within WINDOW. `devices` and `ips` are 0 where the merchant sends none; `failed`
    were blocked here or declined by the channel."""

    merchant_id: str
    attempts: int
    cards: int
    devices: int
    ips: int
    small: int
    failed: int


def find_card_testing(merchants: Iterable[MerchantCards]) -> list[Signal]:
    """A signal per merchant that is being used to test cards."""
    return [_signal(one) for one in merchants if _is_tested(one)]


def _is_tested(one: MerchantCards) -> bool:
    if one.cards < CARDS_MIN or one.attempts > TRIES_PER_CARD_MAX * one.cards:
        return False
    sources = min((number for number in (one.devices, one.ips) if number), default=0)
    if sources and one.cards < CARDS_PER_SOURCE_MIN * sources:
        return False
    failed_share_min = FAILED_SHARE_MIN if sources else FAILED_SHARE_MIN_UNSEEN
    return one.small >= SMALL_SHARE_MIN * one.attempts and one.failed >= failed_share_min * one.attempts


def _signal(one: MerchantCards) -> Signal:
    return Signal(
        "card_testing",
        f"{one.cards} cards were tried at merchant {one.merchant_id}; {one.failed} of {one.attempts} payments failed.",
        scope=one.merchant_id,
        share=one.failed / one.attempts,
        decisions=one.attempts,
        measures={
            "cards": one.cards,
            "devices": one.devices,
            "ips": one.ips,
            "small": one.small,
            "failed": one.failed,
        },
    )
