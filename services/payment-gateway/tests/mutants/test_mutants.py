"""A few guards are taken away in every test run; `make mutants` takes them all."""

from __future__ import annotations

import pytest

from platform_cli.run_mutants import KILLED, Mutant, judge_all, misfits, mutants
from platform_cli.stack.state import clone


def test_the_quick_mutants_are_killed() -> None:
    quick = [mutant for mutant in mutants(clone()) if mutant.quick]
    assert len(quick) == 2, "as many as run at once: half a minute in all"
    verdicts = {
        verdict.mutant.name: (verdict.result, verdict.detail) for verdict in judge_all(clone(), quick)
    }
    assert verdicts == {mutant.name: (KILLED, "") for mutant in quick}


@pytest.mark.parametrize(
    "change",
    [
        {"file": "services/payment-gateway/nowhere.py", "old": "x", "new": "y"},
        {"file": "Makefile", "old": "no such words in it", "new": ""},
        {"file": "Makefile", "old": "bootstrap", "new": ""},
    ],
    ids=["no such file", "no such text", "more than one place"],
)
def test_a_mutant_that_no_longer_fits_is_told(change: dict[str, str]) -> None:
    assert misfits(clone(), Mutant("m", "g", red=("t",), change=(change,)))
