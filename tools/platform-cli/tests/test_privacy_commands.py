"""`platform privacy` as an administrator types it, against a real gateway, its database and a Redis."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from platform_cli.embedded.testing import FreshDatabase, TestDatabase
from platform_cli.privacy.scan_files import SERVICES

sys.path.insert(0, str(Path(__file__).parents[3] / "services/payment-gateway/tests/simulators"))
sys.path.insert(0, str(Path(__file__).parents[3] / "services/payment-gateway/tests/api"))

from gateway_rig import ADMIN, RunningGateway, run_gateway

from payment_gateway.operations.erase_subjects import erase_subjects

PAYER = {"id": "ada-lovelace-17", "email": "ada@example.org", "country": "GB"}
FOUND, NOTHING_DONE = 1, 2  # exit codes, beside 0


@dataclass
class Typed:
    """One command: its exit code, and what it said."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.out)
        return answer


@dataclass
class Copy:
    """A gateway and all that it writes to; `platform` is typed with the addresses of these."""

    gateway: RunningGateway
    database: TestDatabase
    redis: Redis
    redis_url: str
    files: Path

    async def platform(self, *words: str, **environment: str) -> Typed:
        everything = {
            "GATEWAY_URL": self.gateway.url, "ADMIN_API_KEY": ADMIN,
            "SCAN_DATABASE_URL": self.database.admin_url, "SCAN_REDIS_URL": self.redis_url,
        } | environment  # fmt: skip
        command = [sys.executable, "-m", "platform_cli.app", "privacy", *words]
        done = await asyncio.to_thread(
            subprocess.run, command, env=os.environ | everything, capture_output=True, text=True, check=False
        )
        return Typed(done.returncode, done.stdout, done.stderr)

    async def scan(self, *words: str, **environment: str) -> Typed:
        return await self.platform("scan", "--json", "--value", PAYER["email"], *words, **environment)

    async def erased(self, payer: Mapping[str, str]) -> str:
        paid = await self.gateway.pay(customer=payer)
        asked = await self.gateway.post("/v1/erasures", {"payment_id": paid.body["id"]})
        await erase_subjects(self.gateway.deps)
        return str(asked.body["id"])


@pytest.fixture
async def copy(fresh_database: FreshDatabase, clean_redis_url: str, tmp_path: Path) -> AsyncIterator[Copy]:
    database, files = await fresh_database("payments"), tmp_path / "logs"
    files.mkdir()
    for service in SERVICES:
        (files / f"{service}.log").write_text(f'{{"event":"started","service":"{service}"}}\n')
    async with (
        run_gateway(
            database, tmp_path / "journals", redis_url=clean_redis_url, subjects_remembered_s=0
        ) as gateway,
        Redis.from_url(clean_redis_url) as redis,
    ):
        await redis.xadd("events:payments", {"data": "{}"})
        await redis.sadd("_kombu.binding.payments", "payments")
        await redis.set("vel:warm:2", "1")
        for number in range(20):  # of another type, under the same first word, and most of them met before it
            await redis.zadd(f"vel:{{card:{number}}}:payments", {"pay_1": 1})
        yield Copy(gateway, database, redis, clean_redis_url, files)


async def test_a_clean_report_is_attached_and_ends_the_proof(copy: Copy) -> None:
    erasure = await copy.erased(PAYER)
    done = await copy.platform("report", erasure, "--files", str(copy.files), "--json")
    assert (done.code, done.report["verdict"], done.report["left_out"]) == (0, "clean", []), done.err
    assert (done.report["values_sought"], done.report["values_too_short"]) == (2, 0)
    shown = (await copy.gateway.call("GET", f"/v1/erasures/{erasure}")).body
    assert shown["report"]["verdict"] == "clean"
    again = await copy.platform("report", erasure, "--files", str(copy.files))
    assert (again.code, "is forgotten" in again.err) == (NOTHING_DONE, True)


async def test_what_is_found_is_named_without_the_value_and_ends_with_1(copy: Copy) -> None:
    erasure = await copy.erased(PAYER)
    (copy.files / f"{PAYER['email']}.log").write_text("x")
    await copy.redis.set(PAYER["email"], "1")
    for words in (("--json",), ()):
        done = await copy.platform("report", erasure, "--files", str(copy.files), *words)
        assert (done.code, "readable" in done.out, PAYER["email"] in done.out) == (FOUND, True, False)
        assert "redis string …" in done.out
    stored = (await copy.gateway.call("GET", f"/v1/erasures/{erasure}")).body["report"]
    assert (stored["verdict"], PAYER["email"] in json.dumps(stored)) == ("readable", False)


async def test_nothing_to_look_for_proves_nothing(copy: Copy) -> None:
    erasure = await copy.erased({"id": "17", "country": "GB"})
    done = await copy.platform("report", erasure, "--files", str(copy.files), "--json")
    assert (done.code, done.report["verdict"]) == (FOUND, "incomplete")
    assert (done.report["values_sought"], done.report["values_too_short"]) == (0, 1)
    assert done.report["left_out"] == ["no value of at least 5 characters to look for"]


async def test_a_place_that_was_not_named_or_is_empty_is_left_out(copy: Copy, tmp_path: Path) -> None:
    unnamed = await copy.scan()
    assert (unnamed.code, unnamed.report["left_out"]) == (FOUND, ["files: none were named"])
    empty = tmp_path / "mount"
    empty.mkdir()
    mounted = await copy.scan("--files", str(empty))
    assert mounted.report["left_out"] == [f"{empty}: no file is there"] + [
        f"the logs of {service}: not among the files that were read" for service in SERVICES
    ]
    await copy.redis.delete("_kombu.binding.payments")
    one_of_three = await copy.scan("--files", str(copy.files))
    assert one_of_three.report["left_out"] == ["the Redis of the broker: not among those that were read"]
    assert {one.report["verdict"] for one in (unnamed, mounted, one_of_three)} == {"incomplete"}


async def test_logs_of_each_service_are_asked_for(copy: Copy) -> None:
    (copy.files / "risk-engine.log").unlink()
    without = await copy.scan("--files", str(copy.files))
    assert without.report["left_out"] == ["the logs of risk-engine: not among the files that were read"]
    shipped = json.dumps({"log": json.dumps({"service": "risk-engine", "event": "started"})})
    (copy.files / "of-the-collector.json").write_text(shipped)
    whole = await copy.scan("--files", str(copy.files))
    assert (whole.code, whole.report["verdict"]) == (0, "clean")


async def test_each_redis_that_is_named_is_read(copy: Copy) -> None:
    other = copy.redis_url.rpartition("/")[0] + "/1"
    async with Redis.from_url(other) as redis:
        await redis.set("cache:1", PAYER["email"])
    named = await copy.scan("--files", str(copy.files), SCAN_REDIS_URL=f"{copy.redis_url} {other}")
    assert [place["place"] for place in named.report["places"] if place["values"]] == ["redis string cache"]


async def test_a_scan_asks_for_something_to_look_for(copy: Copy) -> None:
    done = await copy.platform("scan", "--value", "Ada")
    assert (done.code, "at least five characters" in done.err) == (NOTHING_DONE, True)
