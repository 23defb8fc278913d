"""What the tests of alerts share: decisions of some mix, receivers of all moods, people."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web
from pydantic import SecretStr
from risk_rig import an_assessment, facts_of
from sqlalchemy import text

from platform_kit.ids import new_id
from risk_engine.clients.alert_channels import AlertSender, read_channels
from risk_engine.domain.assessment import LIFETIME
from risk_engine.domain.decision import Decision
from risk_engine.domain.failure_policy import Fault
from risk_engine.domain.staff import Actor, Role
from risk_engine.operations.deps import Deps
from risk_engine.store.assessment_flush import flush, new_row

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
ADA, EVE = Actor("ada", Role.ANALYST), Actor("eve", Role.LEAD)


async def decided(
    deps: Deps, *, degraded: Sequence[Fault] = (), late: int = 0, prefix: str = "a", **counts: int
) -> None:
    """So many decisions of each kind, made just now; the first `late` of them after their answer."""
    expires_at = datetime.now(UTC) + LIFETIME
    kinds = [Decision(name) for name, count in counts.items() for _ in range(count)]
    items = [
        new_row(
            an_assessment(
                id=new_id("asm"),
                decision=decision,
                degraded=tuple(degraded),
                expires_at=expires_at,
                subject=replace(
                    an_assessment().subject, key=f"{prefix}-{number}", payment_id=f"{prefix}-{number}"
                ),
            ),
            float("-inf") if number < late else float("inf"),
        )
        for number, decision in enumerate(kinds)
    ]
    async with deps.engine.begin() as conn:
        await flush(conn, items)


async def tried(
    deps: Deps,
    number: int,
    *,
    merchant_id: str = "mer_1",
    device: str = "d1",
    amount_minor: int = 100,
    declined: bool = True,
) -> None:
    """A card of its own, tried at a merchant."""
    subject = replace(
        an_assessment().subject,
        merchant_id=merchant_id,
        key=f"try-{number}",
        payment_id=f"{merchant_id}-{number}",
        card=f"card-{number}",
        device=device,
        ip=device,
    )
    made = an_assessment(
        id=new_id("asm"),
        decision=Decision.ALLOW,
        degraded=(),
        expires_at=datetime.now(UTC) + LIFETIME,
        subject=subject,
        facts=facts_of(subject, amount_reference_minor=amount_minor),
    )
    async with deps.engine.begin() as conn:
        await flush(conn, [new_row(made, float("inf"))])
        if declined:
            await conn.execute(DECLINED, {"payment_id": subject.payment_id, "merchant_id": merchant_id})


DECLINED = text("""
    INSERT INTO risk.payment_outcome
        (payment_id, outcome, merchant_id, amount_minor, currency, is_own_block, occurred_at)
    VALUES (:payment_id, 'declined', :merchant_id, 100, 'EUR', false, now())
""")


def with_channels(deps: Deps, *channels: dict[str, Any], timeout_s: float = 2.0) -> Deps:
    """The same deps telling these channels."""
    known = read_channels(SecretStr(orjson.dumps(channels).decode()))
    return replace(deps, channels=known, alert_sender=AlertSender(known, timeout_s=timeout_s))


def a_webhook(name: str = "ops", url: str = "http://127.0.0.1:1/", **changes: Any) -> dict[str, Any]:
    return {"name": name, "kind": "webhook", "url": url, "secret": SECRET} | changes


@dataclass
class Receiver:
    """A web server of the test's; `status` is what it answers, `hangs` that it does not."""

    status: int = 204
    hangs: bool = False
    url: str = ""
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.heard.append((dict(request.headers), await request.read()))
        while self.hangs:  # noqa: ASYNC110 - for as long as the test says
            await asyncio.sleep(0.01)
        return web.Response(status=self.status)

    @property
    def types(self) -> list[str]:
        return [orjson.loads(body)["type"] for _, body in self.heard]


@asynccontextmanager
async def receiving(receiver: Receiver) -> AsyncIterator[Receiver]:
    """The receiver, serving."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", receiver.answer)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook/SECRETPATH"
    try:
        yield receiver
    finally:
        receiver.hangs = False
        await runner.cleanup()


async def rows(deps: Deps, query: str, **values: Any) -> list[Any]:
    async with deps.engine.connect() as conn:
        return list(await conn.execute(text(query), values))
