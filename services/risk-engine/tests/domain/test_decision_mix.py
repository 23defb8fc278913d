"""A spike is told, noise and quiet are not; silence is told where there was traffic."""

from risk_engine.domain.decision_mix import Counts, find_mix, find_silence

CALM = Counts(60, {"allow": 1_000, "review": 10, "challenge": 10, "block": 10})


def kinds(before: Counts = CALM, **decisions: int) -> list[str]:
    return [signal.kind for signal in find_mix(Counts(5, decisions), before)]


def test_a_share_of_blocks_that_jumps_is_a_spike() -> None:
    blocks, friction = find_mix(Counts(5, {"allow": 80, "block": 20}), CALM)
    assert (blocks.kind, blocks.share, blocks.baseline, blocks.decisions) == (
        "block_share",
        0.2,
        10 / 1030,
        100,
    )
    assert (friction.kind, friction.baseline) == ("friction_share", 30 / 1030)
    assert blocks.summary == "20.0% of payments are blocked, 1.0% in the hour before."


def test_more_challenges_are_friction_and_no_blocks() -> None:
    assert kinds(allow=80, challenge=20) == ["friction_share"]


def test_the_usual_mix_is_no_spike() -> None:
    assert kinds(**{name: count // 10 for name, count in CALM.decisions.items()}) == []


def test_a_few_decisions_are_no_spike() -> None:
    assert kinds(block=49) == []


def test_a_platform_without_history_that_blocks_is_told() -> None:
    assert kinds(Counts(60), allow=50, block=50) == ["block_share", "friction_share", "block_rate"]


def test_a_third_of_blocks_is_told_although_the_hour_before_was_as_bad() -> None:
    bad = Counts(60, {"allow": 600, "block": 400})
    assert kinds(bad, allow=60, block=40) == ["block_rate"]
    assert kinds(bad, allow=70, block=30) == []


def test_four_times_the_traffic_is_told_when_it_is_traffic_at_all() -> None:
    before = Counts(60, {"allow": 600})
    assert kinds(before, allow=200) == ["decision_rate"]
    assert kinds(before, allow=199) == []
    assert kinds(Counts(60), allow=1_000) == [], "the first hour of a platform"


def test_silence_after_traffic_is_told() -> None:
    assert [one.kind for one in find_silence(Counts(10), Counts(60, {"allow": 30}))] == ["no_decisions"]


def test_a_quiet_platform_may_be_silent_and_a_busy_one_is_not() -> None:
    assert find_silence(Counts(10), Counts(60, {"allow": 29})) == []
    assert find_silence(Counts(10, {"block": 1}), Counts(60, {"allow": 1_000})) == []
