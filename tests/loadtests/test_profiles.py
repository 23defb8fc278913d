"""A profile says exactly what will be sent; a typo in it is named, with what was probably meant."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from loadtests.journey_names import JOURNEYS, STEPS
from loadtests.journeys import BY_NAME
from loadtests.profile import Arrivals, Profile, Stage, names, parse_profile, read_profile
from loadtests.schedule import plan, share
from loadtests.slo import read_slo
from loadtests.strict import WrongFile

GOOD: dict[str, Any] = {
    "about": "a test",
    "stages": [{"name": "a", "rate": 10, "seconds": 5}],
    "mix": {"pay": 1},
}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"stagse": []}, "unknown key 'stagse'; did you mean 'stages'?"),
        ({"mix": {"refnd": 1}}, "mix: unknown journey 'refnd'; did you mean 'refund'?"),
        ({"mix": {"pay": 0}}, "mix: pay: 0 must be above 0"),
        ({"stages": [{"name": "a", "rate": 1, "secnds": 1}]}, "unknown key 'secnds'; did you mean 'seconds'?"),
        ({"stages": [{"name": "a", "rate": 1}]}, "stages[0]: 'seconds' is missing"),
        ({"stages": [{"name": "a", "rate": "1", "seconds": 1}]}, "stages[0]: rate: '1' is not a number"),
        ({"stages": [{"name": "a", "rate": True, "seconds": 1}]}, "stages[0]: rate: True is not a number"),
        ({"stages": [{"name": "a", "rate": 1, "seconds": 1, "arrivals": "poison"}]}, "did you mean 'poisson'?"),
        ({"stages": []}, "stages: at least one is needed"),
        ({"faults": [{"at_s": 1, "kill": "gatway-api"}]}, "did you mean 'gateway-api'?"),
        ({"faults": [{"at_s": 9, "kill": "redis"}]}, "redis at 9 s is after the end"),
        ({"name": "x"}, "take 'name' out"),
    ],
)  # fmt: skip
def test_a_wrong_key_or_value_is_named(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(WrongFile) as refused:
        parse_profile("test", {**GOOD, **change}, "test.yaml")
    assert complaint in str(refused.value)
    assert "test.yaml" in str(refused.value)


def test_a_key_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("about: x\nmix: {pay: 1, pay: 2}\nstages: [{name: a, rate: 1, seconds: 1}]\n")
    with pytest.raises(WrongFile, match="'pay' is there twice"):
        read_profile(str(file))


def test_an_unknown_profile_is_answered_with_the_nearest() -> None:
    with pytest.raises(WrongFile, match="did you mean 'spike'"):
        read_profile("spkie")


@pytest.mark.parametrize("name", names())
def test_each_shipped_profile_has_arrivals_and_objectives(name: str) -> None:
    profile = read_profile(name)
    assert plan(profile)
    assert "all" in read_slo(name)
    assert len(profile.about) < 120


def test_the_shipped_profiles_are_those_of_the_specification() -> None:
    assert {"smoke", "steady", "ramp-to-knee", "spike", "soak", "failover", "flash-sale"} == set(names())
    usual, spike = read_profile("spike").stages[:2]
    assert spike.rate == 10 * usual.rate


def test_the_journeys_are_those_that_there_are_names_for() -> None:
    assert set(JOURNEYS) == set(BY_NAME)
    assert set(STEPS) >= {"pay", "capture", "refund", "status", "replay", "webhook", "review", "decline"}


def a_profile(*stages: Stage, seed: int = 1) -> Profile:
    return Profile("test", "a test", stages, {"pay": 3, "decline": 1}, seed=seed)


def test_the_same_seed_is_the_same_load_and_another_one_is_not() -> None:
    stage = Stage("a", 50, 20)
    assert plan(a_profile(stage)) == plan(a_profile(stage))
    assert plan(a_profile(stage)) != plan(a_profile(stage, seed=2))


def test_constant_arrivals_are_evenly_spread() -> None:
    times = [arrival.at_s for arrival in plan(a_profile(Stage("a", 4, 2, Arrivals.CONSTANT)))]
    assert times == [0.125 + 0.25 * n for n in range(8)]


def test_poisson_arrivals_have_their_rate_and_their_irregularity() -> None:
    times = [arrival.at_s for arrival in plan(a_profile(Stage("a", 100, 100)))]
    assert 9_700 < len(times) < 10_300
    gaps = [after - before for before, after in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert 0.9 < variance / mean**2 < 1.1  # 1 for independent arrivals, 0 for a metronome


def test_a_ramp_goes_there_in_a_straight_line() -> None:
    times = [arrival.at_s for arrival in plan(a_profile(Stage("a", 0, 10, Arrivals.CONSTANT, to_rate=20)))]
    assert len(times) == 100
    assert sum(at < 5 for at in times) == 25  # half the time, a quarter of the area


def test_stages_follow_each_other_and_the_mix_is_kept() -> None:
    arrivals = plan(a_profile(Stage("a", 50, 10), Stage("b", 500, 10)))
    assert all((arrival.at_s >= 10) == (arrival.stage == 1) for arrival in arrivals)
    assert [a.at_s for a in arrivals] == sorted(a.at_s for a in arrivals)
    declines = sum(arrival.journey == "decline" for arrival in arrivals) / len(arrivals)
    assert 0.22 < declines < 0.28


def test_generators_share_the_plan_without_rest_and_without_doubles() -> None:
    arrivals = plan(a_profile(Stage("a", 50, 10)))
    parts = [share(arrivals, index, 3) for index in range(3)]
    assert sorted((a for part in parts for a in part), key=lambda a: a.number) == arrivals


def test_however_slow_the_platform_is_no_arrival_waits_for_a_connection() -> None:
    """in_flight_max bounds memory only: each request is given up after its time-out, and a journey has at most four."""
    profile = a_profile(Stage("a", 50, 10))
    assert profile.in_flight_max > profile.peak_rate * profile.timeout_s * max(map(len, JOURNEYS.values()))


def test_a_run_file_brings_back_the_profile() -> None:
    from loadtests.run_file import Order, from_json, to_json

    for name in names():
        order = Order(read_profile(name), "http://127.0.0.1:1", "key", "abc")
        assert from_json(to_json(order)) == order
    assert yaml.safe_load(to_json(order))["profile"]["name"] == name
