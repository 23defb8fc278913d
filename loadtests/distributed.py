"""Several generators, one load: Locust's master and workers carry the order out and the raw lines back.

The plan is the same everywhere, for it is seeded; worker i of n sends every n-th arrival. All begin at the same instant
of the wall clock. A worker that is lost makes the run invalid: its share was not sent, and what it knew is gone.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from locust.env import Environment

from loadtests.generator import FINISHED, SEND_EVERY_S, Clock, Files, Lines, conclude
from loadtests.journal import Journal
from loadtests.run_file import from_json, to_json

ALIVE = (
    Path(tempfile.gettempdir()) / "alive"
)  # touched while the loop turns: the probes of the chart look at it
ALL_THERE_WITHIN_S = 180.0
HEAD_START_S = 3.0
WITHOUT_NEWS_S = 10.0  # after a worker was reported missing: does it come back?


def run_master(directory: Path, workers: int, port: int) -> None:
    """Wait for the workers, send them the order, keep what they send, and say how many were lost."""
    order = from_json((directory / "run.json").read_text(encoding="utf-8"))
    files, reports = Files(directory), []
    lines = files.lines()
    environment = Environment(user_classes=[Clock])
    runner = environment.create_master_runner("*", port)
    runner.register_message("samples", _each(lines.samples))
    runner.register_message("arrivals", _each(lines.arrivals))
    runner.register_message("journal", _each(lambda line: lines.journal.append(line.encode())))
    runner.register_message("done", lambda environment, msg, **_: reports.append(msg.data))
    _wait_until(lambda: len(runner.clients.ready) >= workers, ALL_THERE_WITHIN_S)
    there = sorted(client.id for client in runner.clients.ready)[:workers]
    begin_at = time.time() + HEAD_START_S
    (directory / "begin").write_text(f"{begin_at}\n", encoding="utf-8")
    if there:
        for index, client in enumerate(there):
            told = {"order": to_json(order), "index": index, "of": workers, "begin_at": begin_at}
            runner.send_message("order", told, client)
        runner.start(len(there), spawn_rate=len(there))
        profile = order.profile
        longest_s = HEAD_START_S + profile.seconds + 3 * profile.timeout_s + 60
        _wait_until(lambda: len(reports) + len(runner.clients.missing) >= len(there), longest_s)
        if len(reports) < len(there):
            _wait_until(lambda: len(reports) >= len(there), WITHOUT_NEWS_S)
    runner.quit()
    files.close()
    conclude(directory, environment, begin_at, reports, lost_workers=workers - len(reports))


def _each(write: Callable[[str], object]) -> Callable[..., None]:
    def take(environment: Environment, msg: Any, **_: Any) -> None:
        for line in msg.data["lines"]:
            write(line)

    return take


def _wait_until(is_so: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not is_so() and time.monotonic() < deadline:
        gevent.sleep(0.1)


def run_worker(host: str, port: int) -> None:
    """Connect (Locust tries for five minutes), be told, send, report, end with the master."""
    environment = Environment(user_classes=[Clock])
    runner = environment.create_worker_runner(host, port)
    kept: dict[str, list[str]] = {"samples": [], "arrivals": [], "journal": []}
    Clock.until_told = Event()
    Clock.lines = Lines(
        kept["samples"].append,
        kept["arrivals"].append,
        Journal(lambda line: kept["journal"].append(line.decode())),
    )

    def be_told(environment: Environment, msg: Any, **_: Any) -> None:
        Clock.order = from_json(msg.data["order"])
        Clock.index, Clock.of, Clock.begin_at = msg.data["index"], msg.data["of"], msg.data["begin_at"]
        assert Clock.until_told is not None
        Clock.until_told.set()

    def hand_on() -> None:
        for name, lines in kept.items():
            if lines:
                runner.send_message(name, {"lines": lines[:]})
                lines.clear()

    def keep_handing_on() -> None:
        while not FINISHED:
            gevent.sleep(SEND_EVERY_S)
            hand_on()
        hand_on()
        runner.send_message("done", FINISHED[0])

    def live() -> None:
        while True:
            ALIVE.touch()
            gevent.sleep(1)

    gevent.spawn(live)
    runner.register_message("order", be_told)
    gevent.spawn(keep_handing_on)
    runner.greenlet.join()
