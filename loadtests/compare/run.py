"""`compare`: find our platform, find or start the other system, let them compete, write down what came of it."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from loadtests.compare.adapter import read_adapter
from loadtests.compare.contest import Terms, compete, ratios
from loadtests.compare.tell import tell
from loadtests.sending import free_port
from loadtests.stamp import stamp
from loadtests.strict import WrongFile
from loadtests.target import find_target, until_ready

Say = Callable[[str], None]


async def compare_ledgers(
    adapter: str,
    url: str | None,
    ours: str | None,
    terms: Terms,
    out: Path | None,
    console: Console,
    say: Say,
) -> bool:
    """True when the books of both balance. Raises WrongFile and NoTarget."""
    other = read_adapter(adapter)
    mine = read_adapter("ours")
    async with (
        find_target(ours, say) as target,
        _other(adapter, url or getattr(other, "URL", None)) as other_url,
    ):
        await until_ready(target.gateway_url, say)
        os.environ["LEDGER_API_KEY"] = await target.new_merchant()
        found = await compete([(mine, target.gateway_url), (other, other_url.rstrip("/"))], terms, say)
        environment = await stamp(target.gateway_url, target.kind)
    lines = ratios(found)
    tell(console, found, lines, terms)
    directory = out or Path(os.environ.get("PLATFORM_STATE") or ".platform") / "load"
    file = directory / f"compare-{other.NAME}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    text = json.dumps(
        {
            "terms": asdict(terms),
            "systems": [
                {
                    **{k: v for k, v in asdict(one).items() if k != "done"},
                    "transfers": len({t.key for t in one.done}),
                }
                for one in found
            ],
            "ratios": [{**asdict(line), "word": line.word} for line in lines],
            "environment": environment,
        },
        indent=1,
    )
    await asyncio.to_thread(_write, file, text)
    console.print(f"written to {file}")
    return not any(one.complaints for one in found)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n", encoding="utf-8")


@asynccontextmanager
async def _other(adapter: str, url: str | None) -> AsyncIterator[str]:
    """The address that was given; the reference server is started here when nobody gives one."""
    if url:
        yield url
        return
    if adapter != "reference":
        raise WrongFile("URL=… is needed: where is the system that the adapter speaks to?")
    port = free_port()
    command = (sys.executable, "-m", "loadtests.compare.reference_server", str(port))
    process = await asyncio.create_subprocess_exec(*command)
    try:
        await until_ready(f"http://127.0.0.1:{port}", lambda _: None, within_s=30)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()
