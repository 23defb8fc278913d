"""What was counted about a payer, as charts."""

from data_pipeline.api.console.velocity import BAR_HEIGHT_PX, other_facts, velocities_of

FACTS = {
    "card_count_24h": 5,
    "card_count_10m": 1,
    "card_count_1h": 0,
    "card_sum_24h": 70_600,
    "device_cards_1h": 0,
    "card_payments_saturated": False,
    "ip_payments_saturated": True,
    "method": "card",
}


def test_windows_stand_in_the_order_of_their_length_and_what_was_never_seen_is_left_out() -> None:
    payments, amount = velocities_of(FACTS)
    assert [(bar.label, bar.value) for bar in payments.bars] == [("10 min", 1), ("1 h", 0), ("24 h", 5)]
    assert payments.bars[2].height == BAR_HEIGHT_PX
    assert payments.bars[1].height > 0, "none is seen, too"
    assert (amount.name, amount.is_money) == ("Card: amount", True)


def test_every_fact_is_shown_once_but_for_windows_that_did_not_overflow() -> None:
    assert other_facts(FACTS) == {"ip_payments_saturated": True, "method": "card"}
