"""Schemathesis against a running service, by its own OpenAPI document: every check, every phase, a fixed seed.

    found = await fuzz(url, {"merchantKey": key}, directory=tmp_path)
    assert found.passed, found.told

FUZZ_EXAMPLES is the number of generated cases per operation and phase; `make test` takes few, `make fuzz` many.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import orjson

SEED: Final = 20261126
EXAMPLES: Final = int(os.environ.get("FUZZ_EXAMPLES", "0"))
CONFIG: Final = Path(__file__).with_name("fuzzing.toml")
HOOKS: Final = "platform_cli.embedded.fuzzing_hooks"
DOCUMENT_TIMEOUT_S: Final = (
    120  # it is built when it is first asked for: 14 s on a busy machine; schemathesis waits 10
)
TOLD_MAX: Final = 20_000  # characters of a report that a person still reads


@dataclass(frozen=True, slots=True)
class Found:
    """How a run went; `told` is schemathesis' own report."""

    passed: bool
    cases: int
    told: str


async def fuzz(
    url: str,
    tokens: Mapping[str, str],
    *,
    directory: Path,
    examples: int,
    weight: int = 1,
    kept_ids: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
) -> Found:
    """Run against the service at `url`; `tokens` are bearers by security scheme, `kept_ids` are what must not be
    ended (the key that calls, its merchant), `headers` are sent where a case has none of the name. `weight` multiplies
    FUZZ_EXAMPLES for a service of few operations."""
    async with httpx.AsyncClient(timeout=DOCUMENT_TIMEOUT_S) as client:
        (await client.get(f"{url}/openapi.json")).raise_for_status()
    config, report = directory / "schemathesis.toml", directory / "report.json"
    bearers = "\n".join(f'{scheme} = {{ bearer = "{token}" }}' for scheme, token in tokens.items())
    config.write_text(
        f"seed = {SEED}\n{CONFIG.read_text()}\n[auth.openapi]\n{bearers}\n"
        f'[generation]\nmax-examples = {EXAMPLES * weight or examples}\ndatabase = "none"\n'
    )
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("st")), "--no-color", "--config-file", str(config)),
        *("run", f"{url}/openapi.json", "--report", "json", "--report-json-path", str(report)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": HOOKS,
            "FUZZ_KEPT_IDS": ",".join(kept_ids),
            "FUZZ_HEADERS": orjson.dumps(headers or {}).decode(),
        },
        cwd=directory,
    )
    try:
        told, _ = await process.communicate()
    except asyncio.CancelledError:  # the test's time is over
        process.kill()
        await process.wait()
        raise
    summary: dict[str, Any] = orjson.loads(report.read_bytes()) if report.exists() else {}
    cases = int(summary.get("test_cases", {}).get("generated", 0))
    print(f"schemathesis: {cases} cases against {url}")  # `make fuzz` shows it
    return Found(process.returncode == 0, cases, told.decode(errors="replace")[-TOLD_MAX:])
