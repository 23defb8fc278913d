"""Amounts as people write them, and as the gateway counts them."""

from decimal import Decimal, InvalidOperation

from platform_kit.money import AMOUNT_MAX, CURRENCIES, exponent


class BadAmount(ValueError):
    """Not an amount of this currency; the text says why."""


def minor_units(text: str, currency: str) -> int:
    """`12.50` EUR as 1250. Raises BadAmount for what is no amount, or has more decimals than the currency."""
    if currency not in CURRENCIES:
        raise BadAmount(f"{currency!r} is no active currency; try EUR")
    try:
        scaled = Decimal(text).scaleb(exponent(currency))
    except InvalidOperation:
        raise BadAmount(f"{text!r} is no amount; try 12.50") from None
    if not scaled.is_finite() or not 0 < scaled <= AMOUNT_MAX or scaled != scaled.to_integral_value():
        raise BadAmount(f"{text} is no amount of {currency}, which has {exponent(currency)} decimals")
    return int(scaled)


def written(amount_minor: int, currency: str) -> str:
    """1250 EUR as `12.50 EUR`."""
    return f"{Decimal(amount_minor).scaleb(-exponent(currency)):,} {currency}"
