"""What the tests of this service share: events as the producers send them, and a world to ask."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from typing import Any

from aiohttp import web
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from data_pipeline.clients.archive_store import ArchiveStore
from data_pipeline.clients.channel_files import ChannelFiles
from data_pipeline.clients.event_sources import PAYMENTS, EventSources
from data_pipeline.clients.gateway_ledger import GatewayLedger
from data_pipeline.clients.ledger_corrections import LedgerCorrections
from data_pipeline.clients.service_api import ServiceApi
from data_pipeline.domain.settlement import SettlementLine, SettlementType, generate
from data_pipeline.domain.terms import read_terms
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.ingest_events import ingest_events
from data_pipeline.settings import CONSUMER, Settings
from data_pipeline.store.tables import cursor
from platform_kit import inbox
from platform_kit.clock import FixedClock, isoformat
from platform_kit.outbox import Event

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
TODAY = NOON.date()
TOKEN = "internal-test"


def a_payment(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A payment object as in the gateway's API: captured, 12.50 EUR, by card."""
    risk = {
        "assessment_id": f"asm_{number:026d}",
        "decision": "allow",
        "score": 12,
        "reasons": [],
        "fallback": False,
    }
    return {
        "id": f"pay_{number:026d}",
        "object": "payment",
        "merchant_id": "mer_00000000000000000000000001",
        "status": "captured",
        "amount_minor": 1250,
        "currency": "EUR",
        "authorised_minor": 1250,
        "captured_minor": 1250,
        "refunded_minor": 0,
        "capture": "automatic",
        "method": {"type": "card", "token_hint": "tok_visa"},
        "channel": "card_sim",
        "reference": f"order-{number}",
        "description": None,
        "decline_code": None,
        "next_action": None,
        "risk": risk,
        "customer": None,
        "metadata": {},
        "version": 2,
        "created_at": isoformat(NOON - timedelta(milliseconds=80)),
        "updated_at": isoformat(NOON),
    } | changes


def processing(number: int = 1, **changes: Any) -> dict[str, Any]:
    """The same payment before its outcome."""
    nothing = {"status": "processing", "authorised_minor": 0, "captured_minor": 0, "version": 1}
    return a_payment(number, **nothing, **changes)


def an_event(
    position: int,
    type_: str = "payment.captured.v1",
    *,
    payment: dict[str, Any] | None = None,
    journal: dict[str, Any] | None = None,
    attempt: dict[str, Any] | None = None,
    refund: dict[str, Any] | None = None,
    at: datetime = NOON,
    **changes: Any,
) -> Event:
    """An event of the gateway; without `payment` it speaks of payment number `position`."""
    told: dict[str, Any] = payment if payment is not None else a_payment(position)
    return Event(
        id=changes.pop("id", f"evt_{position:026d}"),
        type=type_,
        position=position,
        occurred_at=at,
        aggregate_id=str(changes.pop("aggregate_id", told["id"])),
        merchant_id=str(told["merchant_id"]),
        traceparent=None,
        data=changes.pop("data", {"payment": told, "refund": refund, "journal": journal, "attempt": attempt}),
    )


def a_sale(position: int, number: int | None = None, *, at: datetime = NOON, **changes: Any) -> Event:
    """A captured payment with its journal and attempt, as the gateway posts it."""
    number = number if number is not None else position
    payment = a_payment(number, **changes)
    return an_event(
        position,
        payment=payment,
        at=at,
        journal=a_journal(number, payment["captured_minor"], payment["currency"]),
        attempt=an_attempt(number),
    )


def a_journal(
    number: int, amount_minor: int, currency: str = "EUR", *, channel: str = "card_sim", refund: bool = False
) -> dict[str, Any]:
    """What the gateway posts for a sale, or for a refund."""
    accounts = [f"channel:{channel}:receivable", "merchant:mer_00000000000000000000000001:available"]
    debit, credit = reversed(accounts) if refund else accounts
    return {
        "id": f"je_{'r' if refund else ''}{number:026d}",
        "transfers": [
            {
                "debit": debit,
                "credit": credit,
                "amount_minor": amount_minor,
                "currency": currency,
                "kind": "posted",
            }
        ],
    }


def an_attempt(number: int, operation: str = "capture") -> dict[str, Any]:
    return {
        "id": f"att_{operation}_{number:020d}",
        "operation": operation,
        "channel": "card_sim",
        "channel_reference": f"ch_{operation}_{number}",
        "outcome": "succeeded",
    }


def an_assessment(position: int, number: int = 1, decision: str = "allow", **changes: Any) -> Event:
    """An event of the risk engine."""
    assessment: dict[str, Any] = {
        "id": f"asm_{number:026d}",
        "decision": decision,
        "score": 12,
        "reasons": [{"code": "velocity", "text": "Many payments with this card in ten minutes"}],
        "rule_set": "abc",
        "model": "def",
        "degraded": [],
        "expires_at": None,
        "request": {"merchant_id": "mer_00000000000000000000000001", "payment_id": f"pay_{number:026d}"},
    } | changes
    return Event(
        id=f"evt_r{position:025d}",
        type="assessment.made.v1",
        position=position,
        occurred_at=NOON - timedelta(milliseconds=60),
        aggregate_id=assessment["id"],
        merchant_id="mer_00000000000000000000000001",
        traceparent=None,
        data={"assessment": assessment},
    )


def a_merchant(position: int, name: str = "Shop", *, at: datetime = NOON, **changes: Any) -> Event:
    """The gateway tells of a merchant; `terms` are merged into what the gateway takes when nothing is said."""
    terms = {"settlement_delay_days": 2, "settlement_currency": None, "fee_plan": None, "reserve": None}
    merchant = {
        "id": "mer_00000000000000000000000001",
        "object": "merchant",
        "name": name,
        "country": "DE",
        "mcc": "5411",
        "api_version": "2026-11-26",
        "disabled_at": None,
        "created_at": isoformat(NOON - timedelta(days=30)),
    }
    return Event(
        id=f"evt_{position:026d}",
        type="merchant.updated.v1",
        position=position,
        occurred_at=at,
        aggregate_id=str(changes.get("id", merchant["id"])),
        merchant_id=None,
        traceparent=None,
        data={"terms": terms | changes.pop("terms", {}), "merchant": merchant | changes},
    )


def some_attempts(position: int, *statuses: str, at: datetime = NOON) -> Event:
    """The gateway tells of attempts to send one event to one endpoint, each with the status it left the delivery in."""
    told = {
        "delivery_id": f"dlv_{position:026d}",
        "endpoint_id": f"we_{1:026d}",
        "merchant_id": "mer_00000000000000000000000001",
        "event_id": f"evt_{1:026d}",
        "event_type": "payment.captured.v1",
        "cycle": 1,
        "error": None,
        "duration_ms": 30,
    }
    attempts = [
        told
        | {
            "number": number,
            "status": status,
            "status_code": 200 if status == "delivered" else 503,
            "waited_ms": 80 if number == 1 else None,
        }
        for number, status in enumerate(statuses, start=1)
    ]
    return Event(
        id=f"evt_{position:026d}",
        type="webhook_delivery.attempted.v1",
        position=position,
        occurred_at=at,
        aggregate_id="platform:webhooks",
        merchant_id=None,
        traceparent=None,
        data={"attempts": attempts},
    )


def a_case(position: int, type_: str = "case.opened.v1", number: int = 1, **changes: Any) -> Event:
    """The risk engine tells of a case that came in at NOON and is due four hours later."""
    case = {
        "id": f"cas_{number:026d}",
        "merchant_id": "mer_00000000000000000000000001",
        "priority": "high",
        "payment_count": 1,
        "opened_at": isoformat(NOON),
        "due_at": isoformat(NOON + timedelta(hours=4)),
    }
    return Event(
        id=f"evt_c{position:025d}",
        type=type_,
        position=position,
        occurred_at=NOON,
        aggregate_id=str(case["id"]),
        merchant_id=str(case["merchant_id"]),
        traceparent=None,
        data={"case": case | changes},
    )


def a_line(number: int = 1, **changes: Any) -> SettlementLine:
    """The channel's line of the sale with this number."""
    values: dict[str, Any] = {
        "channel": "card_sim",
        "channel_reference": f"ch_capture_{number}",
        "channel_key": f"att_capture_{number:020d}",
        "type": SettlementType.CHARGE,
        "amount_minor": 1250,
        "currency": "EUR",
        "fee_minor": 43,
        "settled_on": TODAY,
    }
    return SettlementLine(**values | changes)


@dataclass
class World:
    """The other services over HTTP, in one small server: events APIs and settlement files."""

    heads: dict[str, int] = field(default_factory=lambda: {"gateway": 0, "risk": 0})
    events: dict[str, list[Event]] = field(default_factory=lambda: {"gateway": [], "risk": []})
    files: dict[tuple[str, date], bytes] = field(default_factory=dict)
    statements: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    corrections: dict[str, dict[str, Any]] = field(default_factory=dict)
    corrected: asyncio.Barrier | None = None
    """How many corrections are answered together."""
    refusals: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Currency -> the problem with which its corrections are refused."""
    is_down: set[str] = field(default_factory=set)
    accounts_max: int = 2000
    """How many of the ledger's accounts the gateway tells in one answer."""
    refuses: set[str] = field(default_factory=set)
    hangs: set[str] = field(default_factory=set)
    """Services that take a question about themselves and do not answer it."""
    not_ready: dict[str, dict[str, str]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    """As what a service answers instead of 1.2.3."""
    risk_lists: dict[str, int] = field(default_factory=dict)
    """How many cases and alerts the risk engine lists."""
    risk_answers: dict[str, Any] = field(default_factory=dict)
    """Path below `/risk/v1/` -> what the risk engine answers: see `risk_desk`."""
    asked_lists: int = 0
    journals: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Journal -> what the gateway tells of it."""
    histories: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Payment -> what the gateway tells of it."""
    known_by: dict[str, list[str]] = field(default_factory=dict)
    """An e-mail or a card's last four digits -> payments that a service finds by it: `gateway:ada@…`, `risk:ada@…`."""
    goes_on: str | None = None
    """Where the gateway stops looking for a card's digits."""
    searches: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    """Which service was asked, in whose name, and for what."""
    acts: list[dict[str, Any]] = field(default_factory=list)
    """What operators asked the gateway to do."""
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """What it answers next: status and body; 201 when there is none."""
    url: str = ""

    def settle(self, lines: Iterable[SettlementLine], day: date = TODAY, channel: str = "card_sim") -> bytes:
        self.files[channel, day] = raw = generate(lines)
        return raw

    async def _events(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name in self.is_down:
            return web.Response(status=503)
        after, limit = int(request.query["after"]), int(request.query["limit"])
        found = [event.envelope() for event in self.events[name] if (event.position or 0) > after][:limit]
        head = max([self.heads[name], *(event.position or 0 for event in self.events[name])])
        return web.json_response({"data": found, "head": head})

    async def _ledger(self, request: web.Request) -> web.Response:
        """The ledger as the gateway keeps it: journals by their id, whatever becomes of the events."""
        if "gateway" in self.is_down or request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=503)
        moved: Counter[str] = Counter()
        for line in self._lines():
            if line["kind"] in ("posted", "post"):
                moved[line["currency"]] += line["amount_minor"]
        head = max([0, *(event.position or 0 for event in self.events["gateway"])])
        currencies = [{"currency": name, "moved_minor": amount} for name, amount in sorted(moved.items())]
        return web.json_response({"position": head, "currencies": currencies})

    def _lines(self) -> list[dict[str, Any]]:
        journals = {
            told["id"]: told for event in self.events["gateway"] if (told := event.data.get("journal"))
        }
        return [line for journal in journals.values() for line in journal["transfers"]]

    async def _balances(self, request: web.Request) -> web.Response:
        """As `_ledger`, account by account; `accounts_max` to an answer."""
        if "gateway" in self.is_down or request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=503)
        counters: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for line in self._lines():
            for side in ("debit", "credit"):
                row = counters[line[side], line["currency"]]
                if line["kind"] in ("posted", "post"):
                    row[f"{side}s_minor"] += line["amount_minor"]
                if line["kind"] != "posted":
                    held = line["amount_minor"] if line["kind"] == "pending" else -line["amount_minor"]
                    row[f"{side}s_pending_minor"] += held
        account, _, currency = request.query["after"].rpartition(":")
        names = sorted(name for name in counters if name > (account, currency))
        page = names[: self.accounts_max]
        members = ("debits_minor", "credits_minor", "debits_pending_minor", "credits_pending_minor")
        accounts = [
            {
                "account": name[0],
                "currency": name[1],
                **{member: counters[name][member] for member in members},
            }
            for name in page
        ]
        head = max([0, *(event.position or 0 for event in self.events["gateway"])])
        chain = {
            "position": len(self._lines()),
            "hash": "c0ffee" * 10 + "beef",
            "chained_at": isoformat(NOON),
        }
        told = {"position": head, "accounts": accounts, "chain": chain, "has_more": len(names) > len(page)}
        return web.json_response(told)

    async def _journal(self, request: web.Request) -> web.Response:
        told = self.journals.get(request.match_info["journal"])
        if "gateway" in self.refuses:
            return web.json_response({"title": "Too many requests"}, status=429)
        if "gateway" in self.is_down:
            return web.Response(status=503)
        return web.json_response(told) if told else web.json_response({"title": "no such"}, status=404)

    async def _version(self, request: web.Request) -> web.Response:
        if request.match_info["name"] in self.hangs:
            await asyncio.sleep(30)
        name = request.match_info["name"]
        return web.json_response({"service": name, "version": self.versions.get(name, "1.2.3")})

    async def _ready(self, request: web.Request) -> web.Response:
        failing = self.not_ready.get(request.match_info["name"])
        return web.json_response({"failing": failing} if failing else {}, status=503 if failing else 200)

    async def _risk_list(self, request: web.Request) -> web.Response:
        self.asked_lists += 1
        if "risk" in self.hangs:
            await asyncio.sleep(30)
        if "risk" in self.is_down:
            return web.Response(status=503)
        if told := self.risk_answers.get(request.match_info["list"]):
            return web.json_response(told)
        count = self.risk_lists.get(request.match_info["list"], 0)
        return web.json_response({"data": [{}] * count, "next_cursor": None})

    async def _risk(self, request: web.Request) -> web.Response:
        if "risk" in self.is_down or not self.risk_answers:
            return web.Response(status=503)
        told = self.risk_answers.get(request.match_info["path"])
        return web.json_response(told or {"title": "Not found"}, status=200 if told else 404)

    async def _settlement(self, request: web.Request) -> web.Response:
        if "channels" in self.is_down or request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=503)
        key = request.query["channel"], date.fromisoformat(request.query["date"])
        return web.Response(body=self.files.get(key, generate([])))

    async def _statement(self, request: web.Request) -> web.Response:
        if "bank" in self.is_down:
            return web.Response(status=403)
        raw = self.statements.get((request.query["currency"], request.query["date"], request.query["format"]))
        return web.Response(body=raw) if raw is not None else web.Response(status=404)

    async def _correct(self, request: web.Request) -> web.Response:
        """As the gateway does: once for each reference, and with another amount it is refused."""
        if "ledger" in self.is_down:
            return web.json_response({}, status=503)
        body = await request.json()
        if self.corrected is not None:
            await self.corrected.wait()
        if body["currency"] in self.refusals:
            return web.json_response(self.refusals[body["currency"]], status=409)
        named = body | {"by": request.headers["Acting-For"]}
        known = self.corrections.setdefault(body["reference"], named)
        if known["amount_minor"] != body["amount_minor"]:
            return web.json_response({"detail": "It was booked with another amount."}, status=409)
        return web.json_response({"id": f"sus_{body['reference']}"}, status=201)

    async def _history(self, request: web.Request) -> web.Response:
        told = self.histories.get(request.match_info["payment"])
        if "gateway" in self.is_down:
            return web.Response(status=503)
        return web.json_response(told) if told else web.json_response({"title": "no such"}, status=404)

    async def _search(self, request: web.Request) -> web.Response:
        service = request.path.split("/")[1]
        if service in self.is_down:
            return web.Response(status=503)
        body = await request.json()
        self.searches.append((service, request.headers["Acting-For"], body))
        found = self.known_by.get(f"{service}:{body.get('email') or body['last_four']}", [])
        told: dict[str, Any] = {"data": [{"payment_id": one} for one in found]}
        goes_on = None if "before" in body or "email" in body else self.goes_on
        return web.json_response(told | {"is_whole": goes_on is None, "next_before": goes_on})

    async def _act(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        told = {name: request.headers[name] for name in ("Acting-For", "Idempotency-Key")}
        self.acts.append(told | dict(request.match_info) | {"body": await request.json()})
        status, body = self.answers.pop(0) if self.answers else (201, {"status": "succeeded"})
        return web.json_response(body, status=status)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[World]:
        app = web.Application()
        app.router.add_get("/{name}/internal/events", self._events)
        app.router.add_get("/{name}/version", self._version)
        app.router.add_get("/{name}/health/ready", self._ready)
        app.router.add_get("/risk/v1/{list:cases|alerts}", self._risk_list)
        app.router.add_get("/risk/v1/{path:.+}", self._risk)
        app.router.add_get("/gateway/internal/ledger/totals", self._ledger)
        app.router.add_get("/gateway/internal/ledger/balances", self._balances)
        app.router.add_get("/gateway/internal/ledger/journals/{journal}", self._journal)
        app.router.add_get("/channels/settlement", self._settlement)
        app.router.add_get("/channels/bank-statement", self._statement)
        app.router.add_get("/gateway/internal/payments/{payment}", self._history)
        app.router.add_post("/gateway/internal/payments/search", self._search)
        app.router.add_post("/risk/v1/assessments/by-email", self._search)
        app.router.add_post("/gateway/internal/payments/{payment}/{act}", self._act)
        app.router.add_post("/gateway/internal/corrections", self._correct)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0]
        self.url = f"http://{host}:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()


TERMS = read_terms((files("data_pipeline") / "channel_terms.toml").read_text())


def settings_for(database_url: str, world_url: str = "http://127.0.0.1:9", **changes: Any) -> Settings:
    """Settings that read nothing of the machine's environment."""
    return Settings(
        database_url=database_url,
        gateway_url=f"{world_url}/gateway",
        risk_url=f"{world_url}/risk",
        channels_url=f"{world_url}/channels",
        internal_token=TOKEN,
        reconcile_settle_s=0,
        console_cookies_secure=False,
        **{"lineage_url": "", **changes},
    )


@asynccontextmanager
async def deps_for(settings: Settings, engine: AsyncEngine, at: datetime = NOON) -> AsyncIterator[Deps]:
    """Deps over an engine of the test's, with a clock that stands still."""
    token = settings.internal_token.get_secret_value()
    sources = EventSources(settings.gateway_url, settings.risk_url, token)
    files = ChannelFiles(settings.channels_url, token)
    corrections = LedgerCorrections(settings.gateway_url, token)
    gateway = ServiceApi("gateway", settings.gateway_url, token)
    risk = ServiceApi("risk", settings.risk_url, token)
    ledger, archive = GatewayLedger(settings.gateway_url, token), ArchiveStore(settings.archive_url)
    try:
        yield Deps(
            settings,
            engine,
            sources,
            files,
            corrections,
            TERMS,
            FixedClock(at),
            gateway,
            risk,
            ledger,
            archive,
        )
    finally:
        await ledger.close()
        await risk.close()
        await gateway.close()
        await corrections.close()
        await files.close()
        await sources.close()


async def ingest(
    engine: AsyncEngine, events: Sequence[Event], stream: str = PAYMENTS, *, observed_at: datetime = NOON
) -> None:
    """What the consumer does with one batch: cursor and effects in one transaction."""
    last = max(event.position or 0 for event in events)
    async with engine.begin() as conn:
        seen = await inbox.read_cursor(conn, cursor, CONSUMER, stream)
        if last > seen:
            await inbox.move_cursor(conn, cursor, CONSUMER, stream, seen=seen, to=last)
        await ingest_events(conn, stream, events, observed_at)


async def rows(engine: AsyncEngine, table: str, columns: str = "*", order: str = "1") -> list[dict[str, Any]]:
    """Rows of one of our tables."""
    async with engine.connect() as conn:
        found = await conn.execute(text(f"SELECT {columns} FROM pipeline.{table} ORDER BY {order}"))
        return [dict(row) for row in found.mappings()]


async def scalar(engine: AsyncEngine, sql: str, values: Mapping[str, Any] | None = None) -> Any:
    async with engine.connect() as conn:
        return await conn.scalar(text(sql), dict(values or {}))


# What the roll-up must equal, computed from the detail in one statement of another shape.
ROLLUP_FROM_DETAIL = """
    SELECT grain, date_trunc(grain, created_at) AS bucket_at, currency, method,
           coalesce(channel, 'none') AS channel, coalesce(decision, 'none') AS decision,
           count(*)::bigint AS payment_count,
           count(approved_at)::bigint AS approved_count,
           (count(*) FILTER (WHERE status = 'declined'))::bigint AS declined_count,
           sum(amount_minor)::bigint AS amount_minor, sum(captured_minor)::bigint AS captured_minor,
           sum(refunded_minor)::bigint AS refunded_minor
    FROM pipeline.fact_payment, (VALUES ('minute'), ('hour'), ('day')) AS g (grain)
    GROUP BY 1, 2, 3, 4, 5, 6
"""
ROLLUP_KEPT = """
    SELECT grain, bucket_at, currency, method, channel, decision, payment_count, approved_count, declined_count,
           amount_minor, captured_minor, refunded_minor
    FROM pipeline.rollup WHERE payment_count > 0
"""


async def rollup_differences(engine: AsyncEngine) -> list[dict[str, Any]]:
    """Rows that stand in the roll-up and not in the detail, or the other way round: none when all is well."""
    sql = (
        f"(({ROLLUP_FROM_DETAIL}) EXCEPT ({ROLLUP_KEPT})) UNION ALL "
        f"(({ROLLUP_KEPT}) EXCEPT ({ROLLUP_FROM_DETAIL}))"
    )
    async with engine.connect() as conn:
        return [dict(row) for row in (await conn.execute(text(sql))).mappings()]
