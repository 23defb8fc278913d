"""What the three witnesses say: the gateway's records and events, the channels' own journals, the warehouse."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import aiohttp

from platform_cli.audit.shop import Shop

CHANNELS = ("card_sim", "card_sim_2", "wallet_sim", "bank_sim")
PAGE = 1000
LEDGER_LOOKS = 20  # a job that moves money runs every second at most, and takes less
LEDGER_PAUSE_S = 0.5
TIMEOUT = aiohttp.ClientTimeout(total=60)


class NotInWarehouse(RuntimeError):
    """Events did not reach the warehouse in time."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the witnesses are, and what lets an operator ask them. None: that witness cannot be asked."""

    gateway_url: str
    pipeline_url: str | None = None
    channels_url: str | None = None
    internal_token: str | None = None
    admin_api_key: str | None = None


@dataclass(frozen=True, slots=True)
class ChannelRecord:
    """What a channel did under one authorisation key, by its own journal."""

    charged_minor: int
    refunded_minor: int
    charges: int


@dataclass(frozen=True, slots=True)
class Mark:
    """Where the witnesses' records stood at a moment: what came before is not looked at again."""

    position: int = 0
    journals: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that the audit compares. None: that witness was not asked."""

    payments: Mapping[str, Mapping[str, Any]]  # gateway: payment id -> payment
    charges: Mapping[str, ChannelRecord] | None  # channels: key of the authorisation -> what was moved
    positions: list[int] | None  # gateway: positions of all events since the mark, in their order
    events_by_payment: Mapping[str, Counter[str]]  # payment id -> event types
    warehouse: Mapping[str, int] | None  # warehouse: position, head, lag
    reconciliations: list[Mapping[str, Any]]
    gateway_ledger: Mapping[str, int] | None  # currency -> sum of all debits
    warehouse_ledger: Mapping[str, int] | None  # currency -> money moved, as the events told it
    since: Mark = field(default_factory=Mark)

    @property
    def of_others(self) -> set[str]:
        """Payments that events tell of and that are not the shop's: of another merchant."""
        return {name for name in self.events_by_payment if name.startswith("pay_")} - set(self.payments)

    @property
    def silent(self) -> list[str]:
        """Who was not asked, in words."""
        asked = {
            "the channels' journals": self.charges,
            "the event log": self.positions,
            "the warehouse": self.warehouse,
            "the ledger": self.gateway_ledger,
        }
        return [name for name, said in asked.items() if said is None]


class Witnesses:
    """Asks them. Use as an async context."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._at = endpoints

    async def __aenter__(self) -> "Witnesses":
        headers = {"Authorization": f"Bearer {self._at.internal_token}"}
        self._session = aiohttp.ClientSession(timeout=TIMEOUT, headers=headers)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._session.close()

    async def mark(self) -> Mark:
        """Where their records stand now."""
        heads = (
            {channel: await self._journal_head(channel) for channel in CHANNELS}
            if self._at.channels_url
            else {}
        )
        return Mark(await self._event_head() if self._at.internal_token else 0, heads)

    async def give_evidence(
        self, shop: Shop, days: Sequence[date] = (), since: Mark | None = None
    ) -> Evidence:
        """Ask all who can be asked, once everything is in the warehouse. `days` are reconciled there."""
        since = since or Mark()
        has_warehouse = bool(self._at.pipeline_url and self._at.internal_token)
        warehouse = await self.wait_for_warehouse() if has_warehouse else None
        events = await self._events(since.position) if self._at.internal_token else None
        by_payment: dict[str, Counter[str]] = {}
        for event in events or ():
            by_payment.setdefault(event["aggregate_id"], Counter())[event["type"]] += 1
        gateway_ledger, warehouse_ledger = await self._ledgers(has_warehouse=has_warehouse)
        return Evidence(
            payments={payment["id"]: payment for payment in await shop.all_payments()},
            charges=await self._charges(since) if self._at.channels_url else None,
            positions=None if events is None else [event["position"] for event in events],
            events_by_payment=by_payment,
            warehouse=warehouse,
            reconciliations=[await self._reconcile(day, channel) for day in days for channel in CHANNELS],
            gateway_ledger=gateway_ledger,
            warehouse_ledger=warehouse_ledger,
            since=since,
        )

    async def wait_for_warehouse(self, timeout_s: float = 60.0) -> dict[str, int]:
        """Return once the warehouse holds all that the gateway and the risk engine have numbered."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            status = await self._get(f"{self._at.pipeline_url}/v1/status")
            head = (await self._get(f"{self._at.gateway_url}/internal/events", {"after": "0", "limit": "1"}))[
                "head"
            ]
            payments, risk = status["payments"], status["risk"]
            if payments["position"] >= head and payments["lag"] == 0 and risk["lag"] == 0:
                return {"position": payments["position"], "head": head, "stored": status["events_stored"]}
            if loop.time() > deadline:
                raise NotInWarehouse(
                    f"the warehouse is at {payments['position']} of {head}; risk lags {risk['lag']}"
                )
            await asyncio.sleep(0.3)

    @property
    def can_verify_ledger(self) -> bool:
        return self._at.admin_api_key is not None

    async def ledger(self) -> dict[str, Any]:
        """The gateway's recomputation of its ledger."""
        headers = {"Authorization": f"Bearer {self._at.admin_api_key}"}
        return await self._get(f"{self._at.gateway_url}/v1/ledger/verification", headers=headers)

    async def _ledgers(self, *, has_warehouse: bool) -> tuple[dict[str, int] | None, dict[str, int] | None]:
        """What the gateway's ledger and the warehouse say was moved, at one moment: jobs settle and book costs while we
        ask, and what was booked is numbered for the warehouse a moment later (longer on a busy machine), so both are
        asked until they agree. A difference that is one stays, and is given as it was at the last look."""
        if not self._at.admin_api_key:
            return None, await self._warehouse_ledger() if has_warehouse else None
        moved = await self._gateway_ledger()
        if not has_warehouse:
            return moved, None
        for _ in range(LEDGER_LOOKS):
            await self.wait_for_warehouse()
            told, before = await self._warehouse_ledger(), moved
            if told == before:
                break
            await asyncio.sleep(LEDGER_PAUSE_S)
            moved = await self._gateway_ledger()
        return before, told

    async def _gateway_ledger(self) -> dict[str, int]:
        """Only what moved: the warehouse hears of a currency with its first transfer."""
        lines = (await self.ledger())["currencies"]
        return {line["currency"]: line["debits_minor"] for line in lines if line["debits_minor"]}

    async def _warehouse_ledger(self) -> dict[str, int]:
        report = await self._get(f"{self._at.pipeline_url}/v1/reports/ledger")
        return {line["currency"]: line["moved_minor"] for line in report["currencies"]}

    async def _event_head(self) -> int:
        query = {"after": "0", "limit": "1"}
        return int((await self._get(f"{self._at.gateway_url}/internal/events", query))["head"])

    async def _events(self, after: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            query = {"after": str(after), "limit": str(PAGE)}
            page = (await self._get(f"{self._at.gateway_url}/internal/events", query))["data"]
            if not page:
                return found
            found += page
            after = page[-1]["position"]

    async def _charges(self, since: Mark) -> dict[str, ChannelRecord]:
        totals: dict[str, ChannelRecord] = {}
        for channel in CHANNELS:
            for line in await self._journal(channel, since.journals.get(channel, 0)):
                # att_x-2 is the same payment at another channel: a payer must not be charged at both
                key = (line.get("original") or line["key"]).partition("-")[0]
                charged, refunded = line.get("charged_minor", 0), line.get("refunded_minor", 0)
                was = totals.get(key, ChannelRecord(0, 0, 0))
                totals[key] = ChannelRecord(
                    was.charged_minor + charged, was.refunded_minor + refunded, was.charges + bool(charged)
                )
        return totals

    async def _journal(self, channel: str, after: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = await self._journal_page(channel, after + len(found), PAGE)
            found += page["data"]
            if after + len(found) >= page["head"]:
                return found

    async def _journal_head(self, channel: str) -> int:
        return int((await self._journal_page(channel, 0, 1))["head"])

    async def _journal_page(self, channel: str, after: int, limit: int) -> dict[str, Any]:
        query = {"channel": channel, "after": str(after), "limit": str(limit)}
        return await self._get(f"{self._at.channels_url}/journal", query)

    async def _reconcile(self, day: date, channel: str) -> dict[str, Any]:
        body = {"date": day.isoformat(), "channel": channel}
        async with self._session.post(f"{self._at.pipeline_url}/v1/reconciliations", json=body) as reply:
            answer: dict[str, Any] = await reply.json(content_type=None)
            if reply.status >= 300:
                raise NotInWarehouse(f"reconciliation of {channel} for {day}: {reply.status} {answer}")
        return answer

    async def _get(
        self, url: str, params: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        async with self._session.get(url, params=params, headers=headers) as reply:
            reply.raise_for_status()
            body: dict[str, Any] = await reply.json(content_type=None)
        return body
