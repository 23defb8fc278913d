"""`platform data breaks` as a person types it, against a running pipeline with a day that does not match."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

from pipeline_rig import TODAY, TOKEN, World, a_line
from running_service import Service, employ


async def platform(service: Service, *words: str) -> tuple[int, str, str]:
    """Exit code, output and errors of `platform data breaks …`."""
    env = os.environ | {"PIPELINE_URL": service.url, "INTERNAL_TOKEN": TOKEN, "COLUMNS": "200"}
    command = [sys.executable, "-m", "platform_cli.app", "data", "breaks", *words]
    done = await asyncio.to_thread(
        subprocess.run, command, env=env, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


async def test_a_break_is_listed_looked_at_and_closed_by_two_people(service: Service, world: World) -> None:
    await employ(service.deps, ada="finance", grace="finance")
    assert await platform(service, "list") == (0, "no breaks\n", "")
    world.settle([a_line(1, amount_minor=200_000)])
    await service.post("/v1/reconciliations", {"date": TODAY.isoformat(), "channel": "card_sim"})
    [found] = [json.loads(line) for line in (await platform(service, "list", "--json"))[1].splitlines()]

    shown = (await platform(service, "show", found["id"]))[1]
    assert "charge 2,000.00 EUR  line 2 of" in shown
    assert "takes two people" in shown
    code, out, _ = await platform(
        service, "close", found["id"], "correct", "--note", "asked them", "--by", "ada"
    )
    assert (code, out.strip()) == (0, f"{found['id']} is proposed and waits for a second person")
    code, _, err = await platform(service, "close", found["id"], "approve", "--note", "ok", "--by", "ada")
    assert (code, "Who proposed it cannot approve it." in err) == (1, True)
    code, _, err = await platform(service, "close", found["id"], "approve", "--note", "ok", "--by", "Ada")
    assert (code, "There is no enabled operator of this name" in err) == (1, True)
    code, out, _ = await platform(service, "close", found["id"], "approve", "--note", "ok", "--by", "grace")
    assert (code, out.strip()) == (0, f"{found['id']} is resolved")
    bundle = json.loads((await platform(service, "evidence", found["id"]))[1])
    assert [one["actor"] for one in bundle["acts"]] == ["ada", "grace", "platform"]
