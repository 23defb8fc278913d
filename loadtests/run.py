"""One run: target, merchant, receiver, generator, audit, verdict. All that it learns is kept in its directory."""

import json
import os
import random
import shutil
import string
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from loadtests import faults
from loadtests.audit import Verdict, audit_run, read_lines
from loadtests.figures import by_stage, by_step, knee, read_arrivals
from loadtests.journal import read_journal
from loadtests.journey_names import ALL, JOURNEYS
from loadtests.outcome import Outcome
from loadtests.percentiles import hdr_lines
from loadtests.profile import Profile
from loadtests.run_file import Order
from loadtests.samples import read_samples
from loadtests.schedule import plan
from loadtests.sending import send, webhook_receiver
from loadtests.slo import FILE, judge, read_slo
from loadtests.stamp import stamp
from loadtests.target import Target, find_target, until_ready
from loadtests.verdict import ExitCode, exit_code, weigh_generator
from platform_cli.audit.shop import Shop
from platform_cli.audit.witnesses import Witnesses

KNEE_P99_MS, KNEE_ERROR_SHARE = 1000.0, 0.01
Say = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """How a profile is run. `workers`: 0 = one generator on this machine, else so many that connect to it."""

    profile: Profile
    directory: Path
    url: str | None = None
    closed: bool = False
    slo_file: Path = FILE
    workers: int = 0
    port: int = 5557  # where they connect to


def results_root() -> Path:
    return Path(os.environ.get("PLATFORM_STATE") or ".platform") / "load"


def new_directory(root: Path, profile: str) -> Path:
    """`<root>/<profile>-<time>`; UTC, so that names sort."""
    return root / f"{profile}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


async def run(options: Options, say: Say) -> Outcome:
    """The whole of it. Raises NoTarget and WrongFile; whatever the platform does wrong is in the outcome."""
    profile, directory = options.profile, options.directory
    slo = read_slo(profile.name, options.slo_file)
    async with find_target(options.url, say) as target:
        directory.mkdir(parents=True, exist_ok=True)
        notes = _notes(options, target)
        await until_ready(target.gateway_url, say)
        environment = await stamp(target.gateway_url, target.kind)
        verdict = await _load_and_audit(options, target, say)
        if target.state is not None and target.kind == "started":
            shutil.copytree(target.state.logs, directory / "logs", dirs_exist_ok=True)

    report = _read(directory / "generator.json")
    samples, begun = (
        _kept(directory / "samples.csv", read_samples),
        _kept(directory / "arrivals.csv", read_arrivals),
    )
    steps = by_step(samples, begun)
    stages = by_stage(profile, plan(profile), begun, samples)
    asked = {step for journey in profile.mix for step in JOURNEYS[journey]}
    if target.receiver_host is None:
        asked.discard("webhook")
    objectives = judge(steps, slo, asked)
    generator = weigh_generator(stages, begun, report, closed=options.closed)
    code = exit_code(
        generator, all_kept=all(one.is_kept for one in objectives), audit_stands=not verdict.findings
    )
    if (
        code is ExitCode.KEPT
        and not options.closed
        and generator.cpu_share > 0.9 * max(1, generator.generators)
    ):
        notes.append(
            "the generator was busy for more than 90 % of a core: its own queue is part of the latencies"
        )
    if ALL in steps:
        lines = hdr_lines(steps[ALL].latencies)
        (directory / "latency.hgrm").write_text("".join(lines), encoding="utf-8")
    return Outcome(
        profile=profile,
        closed=options.closed,
        code=code,
        objectives=objectives,
        generator=generator,
        verdict=verdict,
        steps=steps,
        stages=stages,
        knee=knee(stages, KNEE_P99_MS, KNEE_ERROR_SHARE) if profile.finds_knee else None,
        samples=samples,
        begun=begun,
        environment=environment,
        begin_at=float(report.get("begin_at", 0.0)),
        locust=report.get("locust", {}),
        timeline=read_lines(directory / "cluster.jsonl"),
        faults=read_lines(directory / "faults.jsonl"),
        notes=notes,
        directory=directory,
    )


async def _load_and_audit(options: Options, target: Target, say: Say) -> Verdict:
    profile, directory = options.profile, options.directory
    api_key = await target.new_merchant()
    letters = "".join(random.choices(string.ascii_lowercase, k=8))
    hooks = directory / "webhooks.jsonl"
    async with (
        Witnesses(target.endpoints) as witnesses,
        webhook_receiver(target, api_key, hooks, from_elsewhere=bool(options.workers)) as receiver_url,
        Shop(target.gateway_url, api_key) as shop,
    ):
        mark = await witnesses.mark()
        order = Order(profile, target.gateway_url, api_key, letters, options.closed, receiver_url)
        say(
            f"{profile.name}: {len(plan(profile)):,} arrivals in {profile.seconds:.0f} s to {target.gateway_url}"
        )
        await send(order, target, directory, options.workers, options.port, say)
        entries = _kept(directory / "journal.jsonl", read_journal)
        return await audit_run(entries, shop, witnesses, mark, hooks if receiver_url else None, say)


def _notes(options: Options, target: Target) -> list[str]:
    """What a reader of the figures has to know."""
    notes = []
    if target.receiver_host is None:
        notes.append(f"Webhooks were not witnessed: {target.no_receiver}.")
    if options.profile.faults and not faults.can_inflict(target):
        notes.append("The profile's faults were left out: nothing can be killed behind a mere URL.")
    if options.closed:
        notes.append(
            "Closed loop: shops waited for answers, so few of them saw a stall. Open runs tell more."
        )
    if target.kind in {"local", "started"}:
        notes.append(
            "Generator and platform share this machine's cores: figures are relative, and over loopback."
        )
    return notes


def _read(file: Path) -> Mapping[str, Any]:
    with suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found
    return {}


def _kept(file: Path, read: Callable[[Path], list[T]]) -> list[T]:
    """What is in the file; nothing when the generator never came so far."""
    return read(file) if file.exists() else []
