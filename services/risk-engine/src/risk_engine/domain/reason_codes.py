"""The stable table of reasons: what each code means to a reviewer, and what a merchant may be told.

Programs compare codes, people read sentences, so a code is never given another meaning and never removed. The
merchant's sentence says what can be done and gives no threshold away: who tests stolen cards reads it too. Rule sets of
one's own may use codes of their own; they carry their sentence in the set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from risk_engine.domain.failure_policy import FAULT_REASONS, Fault
from risk_engine.domain.reviews import HELD_ALONE


class Source(StrEnum):
    """What gives the reason."""

    RULE = "rule"
    SCORE = "score"  # a band of the score
    MODEL = "model"  # a feature that raised the score
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class ReasonCode:
    """One row: `reviewer` and `merchant` are one sentence each."""

    code: str
    source: Source
    reviewer: str
    merchant: str


_ASK_AGAIN_LATER = "This card was used very often lately. Ask the customer to wait or to pay in another way."
_ANOTHER_WAY = (
    "Recent attempts with this card failed. Ask the customer for another card or another way to pay."
)
_MANY_CARDS = "Several cards were tried in a short time. Ask the customer to contact you before trying again."
_CONFIRM = "The payment differs from what this customer usually does. Ask the customer to confirm it."
_LARGE = "The amount is unusually high. Make sure that you know the customer before you deliver."
_PLACE = "The card was used in several countries. Ask the customer to confirm the payment with the bank."
_KNOW = "Make sure that you know the customer before you deliver."
_OUR_SIDE = "The payment could not be checked completely. You may try again in a few minutes."
_USUAL = "The payment was compared with what this customer usually does."

_RULES = (
    ("card_velocity", "The card was used five times or more within ten minutes.", _ASK_AGAIN_LATER),
    ("card_velocity_extreme", "The card was used ten times or more within ten minutes.", _ASK_AGAIN_LATER),
    ("card_volume_day", "The card spent more than 5,000 euro within a day.", _LARGE),
    ("card_declines", "The card was declined three times or more within an hour.", _ANOTHER_WAY),
    ("card_declines_extreme", "The card was declined six times or more within an hour.", _ANOTHER_WAY),
    ("device_many_cards", "Four cards or more were tried from one device within an hour.", _MANY_CARDS),
    ("device_enumeration", "Seven cards or more were tried from one device within an hour.", _MANY_CARDS),
    ("ip_many_cards", "Eight cards or more were tried from one address within an hour.", _MANY_CARDS),
    (
        "ip_enumeration",
        "Fifteen cards or more were tried with small amounts from one address within an hour.",
        _MANY_CARDS,
    ),
    (
        "bin_enumeration",
        "Eight cards or more that begin alike were declined at this merchant within ten minutes.",
        _MANY_CARDS,
    ),
    ("ip_declines", "Ten payments or more from this address were declined within an hour.", _MANY_CARDS),
    ("customer_many_cards", "The customer used four cards or more within a day.", _MANY_CARDS),
    ("email_velocity", "The e-mail address paid eight times or more within an hour.", _ASK_AGAIN_LATER),
    (
        "email_many_cards",
        "Four cards or more were used with the e-mail address within a day.",
        _MANY_CARDS,
    ),
    (
        "linked_many_cards",
        "Eight cards or more are linked to the payer by device, e-mail address or customer.",
        _MANY_CARDS,
    ),
    ("linked_to_fraud", "A payment linked to the payer was called fraud within 30 days.", _KNOW),
    (
        "linked_to_frauds",
        "Three payments or more that are linked to the payer were called fraud within 30 days.",
        _KNOW,
    ),
    (
        "new_device_out_of_character",
        "A known customer pays three times the usual from a device that was never seen.",
        _CONFIRM,
    ),
    (
        "impossible_travel",
        "The payer was in another country too short a time ago to have travelled.",
        _PLACE,
    ),
    ("three_places", "Card, customer and internet address are in three countries.", _PLACE),
    (
        "new_customer_abroad",
        "A new customer pays more than 200 euro with a card of another country than the internet address.",
        _PLACE,
    ),
    ("country_mismatch", "The card was used from two countries within a day.", _PLACE),
    ("country_mismatch_extreme", "The card was used from three countries or more within a day.", _PLACE),
    ("amount_very_high", "The amount is very high.", _LARGE),
    ("amount_unknown_payer", "The amount is very high and nothing is known about the payer.", _LARGE),
    ("amount_very_high_new_customer", "A new customer pays a very high amount.", _LARGE),
    (
        "amount_out_of_character",
        "The amount is more than three times what this customer usually pays.",
        _CONFIRM,
    ),
    (
        "takeover_pattern",
        "High payments far above the customer's usual ones follow each other within an hour.",
        _CONFIRM,
    ),
    (
        "velocity_saturated",
        "More payments were made with this card or device than are counted.",
        _ASK_AGAIN_LATER,
    ),
)
_SCORE = (
    ("score_high", "The payment differs from what this customer usually does.", _CONFIRM),
    ("score_very_high", "The payment differs very much from what this customer usually does.", _CONFIRM),
)
_MODEL = (
    ("amount_ratio_1d", "model_amount_day", "The amount is high against the customer's payments of a day."),
    ("amount_ratio_7d", "model_amount_week", "The amount is high against the customer's payments of a week."),
    (
        "amount_ratio_30d",
        "model_amount_month",
        "The amount is high against the customer's payments of 30 days.",
    ),
    ("customer_count_1d", "model_count_day", "The customer paid often within a day."),
    ("customer_count_7d", "model_count_week", "The customer paid often within a week."),
    ("customer_count_30d", "model_count_month", "The customer paid often within 30 days."),
    (
        "mean_ratio_7d_30d",
        "model_amounts_rising",
        "The customer's amounts of the last week are above the usual.",
    ),
    ("is_weekend", "model_weekend", "The payment was made at a weekend."),
    ("is_night", "model_night", "The payment was made at night, UTC."),
    ("terminal_count_1d", "model_terminal_day", "The terminal's payments of a day add to the risk."),
    ("terminal_count_7d", "model_terminal_week", "The terminal's payments of a week add to the risk."),
    ("terminal_count_30d", "model_terminal_month", "The terminal's payments of 30 days add to the risk."),
    ("terminal_risk_1d", "model_terminal_frauds_day", "Many payments at the terminal a week ago were fraud."),
    (
        "terminal_risk_7d",
        "model_terminal_frauds_week",
        "Many of the terminal's payments of a week were fraud.",
    ),
    (
        "terminal_risk_30d",
        "model_terminal_frauds_month",
        "Many of the terminal's payments of 30 days were fraud.",
    ),
    ("terminal_frauds_14d", "model_terminal_frauds_fortnight", "The terminal had frauds in 14 days."),
    ("terminal_frauds_28d", "model_terminal_frauds_four_weeks", "The terminal had frauds in 28 days."),
    (
        "terminal_first_fraud_hours",
        "model_terminal_first_fraud",
        "When the terminal's frauds began adds to the risk.",
    ),
    (
        "terminal_last_fraud_hours",
        "model_terminal_last_fraud",
        "When the terminal's last known fraud was adds to the risk.",
    ),
    ("largest_ratio_1d", "model_largest_day", "The customer paid an unusual amount within a day before."),
    ("largest_ratio_7d", "model_largest_week", "The customer paid an unusual amount within a week before."),
    (
        "largest_ratio_14d",
        "model_largest_fortnight",
        "The customer paid an unusual amount within 14 days before.",
    ),
    ("amount", "model_amount", "The amount is high."),
    ("customer_mean_1d", "model_mean_day", "The customer's mean amount of a day adds to the risk."),
    ("customer_mean_7d", "model_mean_week", "The customer's mean amount of a week adds to the risk."),
    ("customer_mean_30d", "model_mean_month", "The customer's mean amount of 30 days adds to the risk."),
    ("ratio_to_mean_1d", "model_others_day", "The amount is high against the customer's others of a day."),
    ("ratio_to_mean_7d", "model_others_week", "The amount is high against the customer's others of a week."),
    (
        "ratio_to_mean_30d",
        "model_others_month",
        "The amount is high against the customer's others of 30 days.",
    ),
)

REASON_CODES: Mapping[str, ReasonCode] = MappingProxyType(
    {
        row.code: row
        for row in (
            *(ReasonCode(code, Source.RULE, reviewer, merchant) for code, reviewer, merchant in _RULES),
            *(ReasonCode(code, Source.SCORE, reviewer, merchant) for code, reviewer, merchant in _SCORE),
            *(ReasonCode(code, Source.MODEL, reviewer, _USUAL) for _, code, reviewer in _MODEL),
            *(
                ReasonCode(f"degraded_{fault}", Source.FAULT, FAULT_REASONS[fault], _OUR_SIDE)
                for fault in Fault
            ),
            ReasonCode(HELD_ALONE.code, Source.FAULT, HELD_ALONE.text, _OUR_SIDE),
        )
    }
)
CODE_OF_FEATURE: Mapping[str, str] = MappingProxyType({feature: code for feature, code, _ in _MODEL})


@dataclass(frozen=True, slots=True)
class ModelReason:
    """What one feature did to one score: its `value`, and what it added to the log odds of fraud."""

    code: str
    feature: str
    value: float
    contribution: float


def top_reasons(
    features: Sequence[str], row: Sequence[float], contributions: Sequence[float], at_most: int = 5
) -> tuple[ModelReason, ...]:
    """The features that raised the score most, greatest first; none when nothing raised it."""
    raising = sorted(
        (
            (-contribution, name, value)
            for name, value, contribution in zip(features, row, contributions, strict=True)
            if contribution > 0
        ),
    )
    return tuple(
        ModelReason(CODE_OF_FEATURE[name], name, round(value, 4), round(-negative, 4))
        for negative, name, value in raising[:at_most]
    )
