"""What a figure was measured on: without this it is not comparable with anybody's."""

import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any

from platform_cli.stack.state import clone


def describe_machine() -> dict[str, Any]:
    """Time, cores, processor, memory (GiB), load, system, Python with its speed, and revision."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cpu": _cpu_model(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_average": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
        "python_loop_ms": python_loop_ms(),
        "revision": _revision(),
    }


def python_loop_ms() -> float:
    """CPU time of a million additions, in ms, the best of five: the yardstick between two reports. One shared
    machine has given 46 to 122, by the minute and by whether its Python was built with profile-guided optimisation."""

    def once() -> float:
        total, began_s = 0, time.process_time()
        for n in range(1_000_000):
            total += n
        return time.process_time() - began_s

    return round(min(once() for _ in range(5)) * 1000, 1)


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(
                (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), ""
            )
    except OSError:
        return platform.processor()


def _revision() -> str | None:
    """Short revision, with `+` when files were changed; None outside a clone."""
    try:
        done = [
            subprocess.run(
                ["git", "-C", str(clone()), *words], capture_output=True, text=True, check=False, timeout=10
            )
            for words in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        ]
    except (OSError, subprocess.SubprocessError, IndexError):
        return None
    revision = done[0].stdout.strip()
    return f"{revision}{'+' if done[1].stdout.strip() else ''}" if revision else None
