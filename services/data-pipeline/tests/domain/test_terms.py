"""What was agreed with channels: read from TOML, and the same as what the gateway routes by."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from data_pipeline.domain.settlement import SettlementType
from data_pipeline.domain.terms import BadTerms, Cause, read_terms

SERVICES = Path(__file__).parents[3]
PACKAGED = (SERVICES / "data-pipeline/src/data_pipeline/channel_terms.toml").read_text()
ROUTING = (SERVICES / "payment-gateway/src/payment_gateway/routing.toml").read_text()


def test_the_packaged_terms_are_those_that_the_gateway_routes_by() -> None:
    routed = tomllib.loads(ROUTING)["channels"]
    terms = read_terms(PACKAGED)
    assert terms.keys() == routed.keys()
    for channel, body in routed.items():
        fee = body["fee"]
        assert terms[channel].fee_basis_points == fee.get("basis_points", 0)
        assert terms[channel].fee_fixed_minor == {int(k): v for k, v in fee["fixed_minor"].items()}


@pytest.mark.parametrize(
    ("amount", "currency", "fee"), [(1250, "EUR", 43), (1250, "JPY", 48), (1250, "KWD", 118), (25, "EUR", 25)]
)
def test_a_fee_is_a_share_rounded_half_up_and_a_fixed_part(amount: int, currency: str, fee: int) -> None:
    card = read_terms(PACKAGED)["card_sim"]
    assert card.fee_minor(SettlementType.CHARGE, amount, currency) == fee
    assert card.fee_minor(SettlementType.REFUND, amount, currency) == 0


def test_a_tolerance_is_of_one_cause_and_currency() -> None:
    card = read_terms(PACKAGED)["card_sim"]
    assert card.tolerates(Cause.FEE_ROUNDING, -1, "EUR")
    assert not card.tolerates(Cause.FEE_ROUNDING, 2, "EUR")
    assert not card.tolerates(Cause.FEE_ROUNDING, 1, "JPY")
    assert not card.tolerates(Cause.FX_ROUNDING, 1, "EUR")


@pytest.mark.parametrize(
    "text",
    [
        "card_sim = 1",
        "[card_sim]",
        "[c]\nfee = { basis_points = 1 }\ntolerance.because = { EUR = 1 }",
        "[c]\nfee = { basis_points = 1 }\ntolerance.fx_rounding = { EUR = 101 }",
        "[c]\nfee = { basis_points = 1 }\ntolerance.fx_rounding = { XAU = 1 }",
        "[c",
    ],
)
def test_terms_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(BadTerms):
        read_terms(text)
