"""A better or equal model passes; a worse one, one that cries wolf and one whose probabilities lie do not."""

import random

from risk_engine.domain.model_gate import Scored, judge

RNG_SEED = 3


def decisions(number: int = 1_500, *, noise: float, shift: int = 0, seed: int = RNG_SEED) -> list[Scored]:
    """Frauds score about 70 and others about 10; the candidate sees them through `noise`, moved by `shift`."""
    rng, found = random.Random(seed), []
    for _ in range(number):
        is_fraud = rng.random() < 0.1
        current = min(99, max(0, round(rng.gauss(70 if is_fraud else 10, 15))))
        candidate = min(99, max(0, round(current + rng.gauss(shift, noise))))
        found.append(Scored(current, candidate, is_fraud))
    return found


def test_the_same_model_passes_and_a_barely_different_one_too() -> None:
    same = judge([Scored(one.current, one.current, one.is_fraud) for one in decisions(noise=0)], 40)
    assert (same.passes, same.figures["average_precision_change_95"]) == (True, [0.0, 0.0])
    assert judge(decisions(noise=1), 40).passes


def test_a_model_that_ranks_worse_is_refused() -> None:
    gate = judge(decisions(noise=45), 40)
    assert not gate.passes
    assert "average precision may be lower" in gate.refused[0]
    low, high = gate.figures["average_precision_change_95"]
    assert low < high < 0


def test_a_model_that_alerts_more_is_refused_though_it_ranks_the_same() -> None:
    gate = judge(decisions(noise=0, shift=25), 40)
    assert any("it alerts on" in why for why in gate.refused)
    assert not any("average precision" in why for why in gate.refused)


def test_a_model_whose_probabilities_lie_is_refused() -> None:
    """It ranks and alerts the same; of what it calls 99 % four in five are fraud."""
    tried = [
        Scored(current, candidate, n < frauds)
        for current, candidate, frauds in ((20, 1, 400), (80, 99, 1_600))
        for n in range(2_000)
    ]
    (why,) = judge(tried, 40).refused
    assert "probabilities" in why


def test_with_few_labels_nothing_passes() -> None:
    gate = judge(decisions(300, noise=0), 40)
    assert (gate.passes, gate.figures) == (False, {})
    assert "are needed" in gate.refused[0]
