"""A spike is told, noise and quiet are not."""

from risk_engine.domain.alerts import Spike, find_spikes

CALM = {"allow": 1_000, "review": 10, "challenge": 10, "block": 10}


def test_a_share_of_blocks_that_jumps_is_a_spike() -> None:
    assert find_spikes({"allow": 80, "block": 20}, CALM) == [
        Spike("block_share", 0.2, 10 / 1030, 100),
        Spike("friction_share", 0.2, 30 / 1030, 100),
    ]


def test_more_challenges_are_friction_and_no_blocks() -> None:
    assert [spike.kind for spike in find_spikes({"allow": 80, "challenge": 20}, CALM)] == ["friction_share"]


def test_the_usual_mix_is_no_spike() -> None:
    assert find_spikes({name: count // 10 for name, count in CALM.items()}, CALM) == []


def test_a_few_decisions_are_no_spike() -> None:
    assert find_spikes({"block": 49}, CALM) == []


def test_a_platform_without_history_that_blocks_is_told() -> None:
    assert find_spikes({"allow": 50, "block": 50}, {})[0].as_details() == {
        "share": 0.5,
        "baseline": 0.0,
        "decisions": 100,
    }
