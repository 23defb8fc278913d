"""Kill what a profile names, when it says so; what was done and when goes into faults.jsonl."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from loadtests.profile import Fault, Profile
from loadtests.target import Target


async def inflict(
    profile: Profile, target: Target, begin_at: float, file: Path, say: Callable[[str], None]
) -> None:
    """All faults of the profile in their time; `begin_at` is time.time() of the start."""
    for fault in sorted(profile.faults, key=lambda fault: fault.at_s):
        await asyncio.sleep(max(0.0, begin_at + fault.at_s - time.time()))
        what = await asyncio.to_thread(_kill, fault, target)
        say(f"killed {what}")
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"at": time.time(), "kill": fault.kill, "what": what}) + "\n")


def can_inflict(target: Target) -> bool:
    return target.cluster is not None or target.state is not None


def _kill(fault: Fault, target: Target) -> str:
    if target.cluster is not None:
        return f"pod {target.cluster.kill(fault.kill)}"
    from platform_cli.stack import supervision  # here: the image of the generator has no supervisor

    assert target.state is not None
    for status in supervision.statuses(target.state):
        if status.name == fault.kill and status.pid:
            os.kill(status.pid, signal.SIGKILL)
            return f"{fault.kill} (pid {status.pid})"
    return f"{fault.kill}: it was not running"
