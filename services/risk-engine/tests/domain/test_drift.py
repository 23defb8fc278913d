"""Fires near a planted change, stays silent on shuffled data: on generated streams, looked at as the job does."""

import random
from collections.abc import Sequence

import pytest

from risk_engine.domain.drift import PSI_MAJOR, SAMPLE_SIZE, compare, find_drift, ks, psi, spread

LENGTH, CHANGE, STEP = 8_000, 4_000, 100
NAMES = ("amount_ratio_30d", "customer_count_1d", "has_history", "score")

Row = list[float]


def rows(source: random.Random, number: int, *, shifted: bool = False) -> list[Row]:
    """Decisions: a ratio, a count, a flag, a score in which most are 0; with the shift ratios double."""
    made = []
    for _ in range(number):
        ratio = source.lognormvariate(0, 0.5) * (2.0 if shifted else 1.0)
        count = float(min(int(source.expovariate(0.5)), 12))
        flag = float(source.random() < 0.8)
        made.append([ratio, count, flag, float(max(0, int(source.gauss(-5, 10))))])
    return made


def columns(sample: Sequence[Row]) -> dict[str, list[float]]:
    return {name: [row[index] for row in sample] for index, name in enumerate(NAMES)}


def looks(stream: Sequence[Row]) -> list[tuple[int, list[str]]]:
    """Position and scopes of the signals, for the newest SAMPLE_SIZE rows every STEP rows against the first ones."""
    reference = columns(stream[:SAMPLE_SIZE])
    return [
        (
            end,
            [
                signal.scope
                for signal in find_drift(compare(reference, columns(stream[end - SAMPLE_SIZE : end])))
            ],
        )
        for end in range(2 * SAMPLE_SIZE, len(stream) + 1, STEP)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_change_fires_near_it_and_on_its_own_column(seed: int) -> None:
    source = random.Random(seed)
    stream = rows(source, CHANGE) + rows(source, LENGTH - CHANGE, shifted=True)
    fired = [(position, scopes) for position, scopes in looks(stream) if scopes]
    assert CHANGE < fired[0][0] <= CHANGE + SAMPLE_SIZE // 2
    assert all(scopes == ["amount_ratio_30d"] for _, scopes in fired)
    assert fired[-1][0] == LENGTH, "and goes on"


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_data_stays_silent(seed: int) -> None:
    """The same rows, shift and all, in any order: there is nothing to tell."""
    source = random.Random(seed)
    stream = rows(source, CHANGE) + rows(source, LENGTH - CHANGE, shifted=True)
    source.shuffle(stream)
    assert [scopes for _, scopes in looks(stream) if scopes] == []


def test_a_score_that_moves_is_its_own_kind() -> None:
    source = random.Random(1)
    reference = columns(rows(source, SAMPLE_SIZE))
    moved = reference | {"score": [value + 20 for value in reference["score"]]}
    (signal,) = find_drift(compare(reference, moved))
    assert (signal.kind, signal.scope) == ("score_drift", "")
    assert signal.measures["psi"] >= PSI_MAJOR


def test_what_the_calendar_decides_is_not_compared() -> None:
    day, night = {"is_night": [0.0] * 100}, {"is_night": [1.0] * 100}
    assert compare(day, night) == []


def test_psi_of_two_known_shares() -> None:
    """Half and half against three quarters and one quarter: 0.25 ln 1.5 - 0.25 ln 0.5 = 0.2747."""
    reference, sample = [0.0] * 5_000 + [1.0] * 5_000, [0.0] * 7_500 + [1.0] * 2_500
    assert psi(reference, sample, bins=4) == pytest.approx(0.2747, abs=0.0005)
    assert psi(reference, reference) == 0


def test_ks_is_the_widest_distance() -> None:
    assert ks([0.0, 1.0, 2.0, 3.0], [2.0, 3.0, 4.0, 5.0]) == 0.5
    assert ks([1.0, 2.0], [3.0, 4.0]) == 1.0
    assert ks([1.0, 2.0], [2.0, 1.0]) == 0.0


def test_a_column_that_is_one_value_has_no_drift_and_a_new_value_shows() -> None:
    same, other = [1.0] * SAMPLE_SIZE, [0.0] * 300 + [1.0] * (SAMPLE_SIZE - 300)
    assert find_drift(compare({"has_card": same}, {"has_card": same})) == []
    assert (psi(same, other), ks(same, other)) == (0, 0.3), "one bin holds both values"
    (signal,) = find_drift(compare({"has_card": same}, {"has_card": other}))
    assert signal.scope == "has_card"


def test_a_sample_is_spread_over_all_rows() -> None:
    sample = spread([[float(number)] for number in range(2_016)])
    assert (len(sample), sample[0], sample[-1]) == (SAMPLE_SIZE, [0.0], [2_013.0])
