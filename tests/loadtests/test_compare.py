"""The ledger contest: both do the same work, the books are checked, who books a key twice is found out."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
from tests.loadtests.conftest import ROOT

from loadtests.compare.adapter import read_adapter
from loadtests.compare.contest import Measured, Terms, compete, ratios
from loadtests.compare.work import Transfer, expected_balances, transfers
from loadtests.strict import WrongFile
from platform_cli.embedded.running import free_port

SHORT = Terms(accounts=(10,), rounds=2, seconds=0.4, connections=8, rate=300)


@pytest.fixture
def reference() -> Iterator[Callable[..., str]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> str:
        port = free_port()
        command = [sys.executable, "-m", "loadtests.compare.reference_server", str(port), *options]
        started.append(subprocess.Popen(command, cwd=ROOT))
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return f"http://127.0.0.1:{port}"
            time.sleep(0.05)

    yield start
    for process in started:
        process.kill()
        process.wait(10)


def test_two_good_ledgers_balance_and_one_that_forgets_keys_is_found_out(
    reference: Callable[..., str],
) -> None:
    adapter = read_adapter("reference")
    good, bad = reference(), reference("--forget-keys")
    first, second = asyncio.run(compete([(adapter, good), (adapter, bad)], SHORT, lambda _: None))
    assert first.complaints == []
    assert len(first.per_s) == len(second.per_s) == 2
    assert first.repeats > 0
    assert second.repeats > 0
    assert any("balances differ" in complaint for complaint in second.complaints)
    assert any(" keys" in complaint for complaint in second.complaints)
    assert {line.name for line in ratios([first, second])} == {
        "transfers/s, closed loop",
        "p50, open loop",
        "p99, open loop",
    }


def test_the_work_is_zipf_with_unique_keys_and_one_repeat_in_a_hundred() -> None:
    work = list(islice(transfers(1000, "run"), 20_000))
    assert work == list(islice(transfers(1000, "run"), 20_000)), "the same for both sides"
    assert 0.007 < sum(one.is_repeat for one in work) / len(work) < 0.013
    first = [one for one in work if not one.is_repeat]
    assert len({one.key for one in first}) == len(first)
    assert all(one.debit != one.credit for one in work)
    debits = Counter(one.debit for one in first)
    assert 1.6 < debits[0] / debits[1] < 2.4  # the first is twice as busy as the second
    bodies = {one.key: (one.debit, one.credit, one.amount_minor) for one in first}
    assert all(bodies[one.key] == (one.debit, one.credit, one.amount_minor) for one in work if one.is_repeat)


def test_a_repeat_is_expected_once() -> None:
    done = [Transfer("a", 0, 1, 5), Transfer("a", 0, 1, 5, is_repeat=True), Transfer("b", 1, 0, 2)]
    assert expected_balances(iter(done), 2) == [-3, 3]


@pytest.mark.parametrize(
    ("turns", "word"), [((2.0, 1.9), "more"), ((0.5, 0.6), "less"), ((0.9, 1.2), "within noise")]
)
def test_a_ratio_within_the_band_of_the_turns_is_noise(turns: tuple[float, float], word: str) -> None:
    first = Measured("a", 2, per_s=list(turns), open_p50_ms=[1, 1], open_p99_ms=[1, 1])
    second = Measured("b", 2, per_s=[1, 1], open_p50_ms=[1, 1], open_p99_ms=[1, 1])
    assert ratios([first, second])[0].word == word


def test_an_adapter_without_a_function_is_named(tmp_path: Path) -> None:
    file = tmp_path / "theirs.py"
    file.write_text(
        "NAME = 'x'\ndef prepare(): ...\ndef transfer(): ...\ndef isdone(): ...\ndef balances(): ...\n"
    )
    with pytest.raises(WrongFile, match="'is_done' is missing; is 'isdone' meant"):
        read_adapter(str(file))
    with pytest.raises(WrongFile, match="shipped are ours, reference"):
        read_adapter("tigerbeetle")
