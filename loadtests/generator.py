"""The generator: a process of its own in which Locust sends what the plan says, when the plan says it.

    python -m loadtests.generator DIRECTORY                        # alone
    python -m loadtests.generator DIRECTORY --workers 3            # as the master of three
    python -m loadtests.generator --master HOST                    # as a worker: the master tells it everything

Open loop: one Locust user is a clock. It fires every arrival at its planned instant into a greenlet of its own,
whether or not earlier ones were answered; what is late is measured. With `closed` there are so many shops instead,
each of which waits for its answer before it asks again, as Locust's own users do.

Into DIRECTORY go samples.csv, arrivals.csv, journal.jsonl and generator.json.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from gevent.pool import Pool
from locust import FastHttpUser, task
from locust.env import Environment
from locust.exception import StopUser

from loadtests.journal import Journal
from loadtests.journeys import BY_NAME
from loadtests.run_file import Order, from_json
from loadtests.samples import HEADER, Sample, to_line
from loadtests.schedule import Arrival, plan, share
from loadtests.shop import Customer, Surroundings

LAST_ANSWERS_S = 5.0  # beside the time-outs: how long what is on its way may take when all have come
SEND_EVERY_S = 0.5
HEAD_START_S = 1.0
ARRIVALS = "number,journey,stage,planned_s,begun_s,ended_s\n"


@dataclass(slots=True)
class Lines:
    """What goes into the files; a worker hands it on to its master instead."""

    samples: Callable[[str], object]
    arrivals: Callable[[str], object]
    journal: Journal


class Clock(FastHttpUser):
    """The one user of each generator."""

    host = "set by the order"
    order: Order  # these four are set before Locust makes the user
    lines: Lines
    index = 0
    of = 1
    until_told: Event | None = None  # a worker's: set when the master has sent the order
    begin_at: float = 0.0  # time.time() of the start

    def __init__(self, environment: Environment) -> None:
        kind = type(self)
        if kind.until_told is not None:
            kind.until_told.wait()
        profile = kind.order.profile
        self.concurrency = profile.in_flight_max
        self.network_timeout = profile.timeout_s
        self.connection_timeout = min(5.0, profile.timeout_s)
        kind.host = kind.order.gateway_url
        super().__init__(environment)
        self.client.client.max_retries = 0

    @task
    def run_the_plan(self) -> None:
        """The whole run; then this user, and with it the test, ends."""
        kind = type(self)
        drive = Drive(kind.order, self.client, kind.lines, kind.begin_at)
        mine = share(plan(kind.order.profile), kind.index, kind.of)
        FINISHED.append(drive.closed(mine) if kind.order.closed else drive.open(mine))
        raise StopUser


FINISHED: list[dict[str, Any]] = []


class Drive:
    """Sends one generator's share of a profile."""

    def __init__(self, order: Order, session: Any, lines: Lines, begin_at: float) -> None:
        self._order, self._profile, self._lines = order, order.profile, lines
        self._pool = Pool(order.profile.in_flight_max)
        self._origin = time.monotonic() + (begin_at - time.time())
        self._held_back = 0
        self._begun = 0
        self._unfinished = 0
        self._peak = 0
        self._shared = Surroundings(
            session=session,
            journal=lines.journal,
            keep=lambda sample: lines.samples(to_line(sample)),
            clock=self._now,
            api_key=order.api_key,
            run=order.run,
            seed=order.profile.seed,
            receiver_url=order.receiver_url,
        )

    def open(self, arrivals: Sequence[Arrival]) -> dict[str, Any]:
        """Fire each arrival at its instant. Returns how well that went."""
        self._wait_for_start()
        before = resource.getrusage(resource.RUSAGE_SELF)
        for arrival in arrivals:
            ahead_s = arrival.at_s - self._now()
            if ahead_s > 0:
                gevent.sleep(ahead_s)
            if self._pool.full():
                self._held_back += (
                    1  # in_flight_max is more than time-outs allow: the generator is what is slow
                )
                self._pool.wait_available()
            self._pool.spawn(self._journey, arrival)
            self._peak = max(self._peak, len(self._pool))
        rest_s = self._profile.seconds - self._now()
        if rest_s > 0:
            gevent.sleep(rest_s)
        fired_s = self._now()
        self._let_end()
        return self._report(len(arrivals), fired_s, before)

    def closed(self, arrivals: Sequence[Arrival]) -> dict[str, Any]:
        """So many shops; each begins at most its share of the rate, and never before it has its answer."""
        self._wait_for_start()
        before = resource.getrusage(resource.RUSAGE_SELF)
        waiting = iter(arrivals)

        def shop() -> None:
            for (
                arrival
            ) in waiting:  # shared by all shops: the next customer goes to the next shop that is free
                ahead_s = arrival.at_s - self._now()
                if ahead_s > 0:
                    gevent.sleep(ahead_s)
                if self._now() >= self._profile.seconds:
                    return
                # its intended start is when the shop turns to it: a closed loop knows no other
                self._journey(Arrival(arrival.number, self._now(), arrival.stage, arrival.journey))

        for _ in range(self._profile.closed_users):
            self._pool.spawn(shop)
        self._pool.join()
        return self._report(len(arrivals), self._now(), before)

    def _journey(self, arrival: Arrival) -> None:
        begun_s = self._now()
        self._begun += 1
        customer = Customer(self._shared, arrival)
        outcome = "unfinished"
        try:
            BY_NAME[arrival.journey](customer)
            outcome = "wrong" if customer.went_wrong else "ok"
        finally:
            ended_s = self._now()
            times = f"{arrival.at_s:.6f},{begun_s:.6f},{ended_s:.6f}"
            self._lines.arrivals(f"{arrival.number},{arrival.journey},{arrival.stage},{times}\n")
            if outcome == "unfinished":
                self._unfinished += 1
                number, journey, stage = arrival.number, arrival.journey, arrival.stage
                self._shared.keep(
                    Sample(number, journey, "journey", stage, arrival.at_s, begun_s, ended_s, 0, outcome)
                )

    def _let_end(self) -> None:
        deadline_s = self._profile.timeout_s * 3 + LAST_ANSWERS_S + (30 if self._shared.receiver_url else 0)
        if not self._pool.join(timeout=deadline_s):
            self._pool.kill()

    def _wait_for_start(self) -> None:
        ahead_s = -self._now()
        if ahead_s > 0:
            gevent.sleep(ahead_s)

    def _now(self) -> float:
        return time.monotonic() - self._origin

    def _report(self, planned: int, fired_s: float, before: resource.struct_rusage) -> dict[str, Any]:
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {
            "planned": planned,
            "begun": self._begun,
            "held_back": self._held_back,
            "unfinished": self._unfinished,
            "in_flight_peak": self._peak,
            "cpu_s": round(cpu_s, 3),
            "wall_s": round(self._now(), 3),
            "memory_mb": round(after.ru_maxrss / 1024, 1),
        }


def locust_figures(environment: Environment) -> dict[str, dict[str, float]]:
    """Locust's own summary, beside ours: service times in its buckets of two digits."""
    entries = [*environment.stats.entries.values(), environment.stats.total]
    return {
        entry.name: {
            "requests": entry.num_requests,
            "failures": entry.num_failures,
            "p50_ms": entry.get_response_time_percentile(0.50) or 0,
            "p95_ms": entry.get_response_time_percentile(0.95) or 0,
            "p99_ms": entry.get_response_time_percentile(0.99) or 0,
        }
        for entry in entries
    }


def run_alone(directory: Path) -> None:
    """One generator in this process."""
    order = from_json((directory / "run.json").read_text(encoding="utf-8"))
    files = Files(directory)
    environment = Environment(user_classes=[Clock])
    Clock.order, Clock.lines = order, files.lines()
    Clock.begin_at = time.time() + HEAD_START_S
    (directory / "begin").write_text(f"{Clock.begin_at}\n", encoding="utf-8")
    runner = environment.create_local_runner()
    runner.start(1, spawn_rate=1)
    while not FINISHED:
        gevent.sleep(0.05)
    runner.quit()
    files.close()
    conclude(directory, environment, Clock.begin_at, FINISHED, lost_workers=0)


class Files:
    """The raw data of a run."""

    def __init__(self, directory: Path) -> None:
        self._samples = (directory / "samples.csv").open("w", encoding="utf-8", buffering=1 << 16)
        self._samples.write(",".join(HEADER) + "\n")
        self._arrivals = (directory / "arrivals.csv").open("w", encoding="utf-8", buffering=1 << 16)
        self._arrivals.write(ARRIVALS)
        self._journal = directory / "journal.jsonl"

    def lines(self) -> Lines:
        return Lines(self._samples.write, self._arrivals.write, Journal.at(self._journal))

    def close(self) -> None:
        self._samples.close()
        self._arrivals.close()


def conclude(
    directory: Path,
    environment: Environment,
    begin_at: float,
    reports: Sequence[dict[str, Any]],
    lost_workers: int,
) -> None:
    total: dict[str, Any] = {
        name: sum(report[name] for report in reports)
        for name in ("planned", "begun", "held_back", "unfinished", "in_flight_peak", "cpu_s", "memory_mb")
    }
    total |= {
        "wall_s": max((report["wall_s"] for report in reports), default=0.0),
        "begin_at": begin_at,
        "generators": len(reports),
        "lost_workers": lost_workers,
        "locust": locust_figures(environment),
    }
    (directory / "generator.json").write_text(json.dumps(total, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="The load generator; `python -m loadtests` starts it.")
    parser.add_argument("directory", type=Path, nargs="?")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--master")
    parser.add_argument("--port", type=int, default=5557)
    options = parser.parse_args()
    _raise_file_limit()
    if options.master:
        from loadtests.distributed import run_worker

        run_worker(options.master, options.port)
    elif options.workers:
        from loadtests.distributed import run_master

        run_master(options.directory, options.workers, options.port)
    else:
        run_alone(options.directory)


def _raise_file_limit() -> None:
    """Every customer may hold a connection."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    main()
