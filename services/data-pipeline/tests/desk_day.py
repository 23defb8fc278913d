"""A day as an operator's desk sees it: breaks of every kind, payouts and the bank, a quarantine, files and replays."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from pipeline_rig import NOON, TODAY, World, a_line, a_sale, an_event, ingest, rows
from running_service import Service, employ
from seeded_day import Seeded

from data_pipeline.clients.archive_store import ArchiveStore
from data_pipeline.clients.event_sources import PAYMENTS
from data_pipeline.domain import camt053
from data_pipeline.domain.break_filter import BreakFilter
from data_pipeline.domain.closing import Act
from data_pipeline.domain.exports import FileFormat
from data_pipeline.domain.questions import Grain, ask
from data_pipeline.domain.report_definition import ReportName
from data_pipeline.domain.statements import Statement, StatementEntry
from data_pipeline.operations.archive_events import archive_events
from data_pipeline.operations.close_break import CloseBreak, close_break
from data_pipeline.operations.make_exports import make_exports
from data_pipeline.operations.reconcile_day import ReconcileDay, reconcile_day
from data_pipeline.operations.reconcile_payouts import reconcile_payouts
from data_pipeline.operations.replay_archive import replay_archive, request_replay
from data_pipeline.operations.request_export import RequestExport, request_export
from data_pipeline.operations.show_break import list_breaks

BATCH_DAY = TODAY - timedelta(days=1)


async def lay_out(service: Service, world: World, seeded: Seeded, directory: Path) -> None:
    """On top of the seeded hour: the day before with a short payout, and work half done."""
    settings = service.deps.settings.model_copy(update={"exports_url": f"file://{directory}/exports"})
    archive = ArchiveStore(f"file://{directory}/archive")
    service.app.state.deps = service.deps = replace(service.deps, settings=settings, archive=archive)
    await employ(service.deps, ada="finance", grace="finance")
    await _yesterday(service, world, len(seeded.payments))
    await _worked_on(service)
    position = len(seeded.payments) + 4
    for number in range(6):
        kind = "payment.teleported.v1" if number % 3 else "payment.split.v2"
        await ingest(service.deps.engine, [an_event(position + number, kind, at=NOON - timedelta(minutes=9))])
    world.heads["gateway"] = position + 5
    await archive_events(service.deps)
    await request_replay(service.deps, "ada", "The handler of refunds was mended")
    await replay_archive(service.deps)
    for subject, format_, grain in (
        (ReportName.FEES, FileFormat.XLSX, Grain.DAY), ("payments", FileFormat.CSV, Grain.TOTAL),
    ):  # fmt: skip
        name = ReportName.VOLUME if subject == "payments" else ReportName.FEES
        question = ask(name, NOON - timedelta(days=1), NOON + timedelta(hours=1), grain=grain)
        await request_export(service.deps, RequestExport(str(subject), question, format_, "grace"))
        await make_exports(service.deps)


async def _yesterday(service: Service, world: World, after: int) -> None:
    """Three sales, one of them with too high a fee; the bank has less than the file comes to, and a line of its own."""
    at = NOON - timedelta(days=1)
    await ingest(service.deps.engine, [a_sale(after + n, 900 + n, at=at) for n in (1, 2, 3)], PAYMENTS)
    world.heads["gateway"] = after + 3
    lines = [a_line(900 + n, settled_on=BATCH_DAY, fee_minor=43) for n in (1, 2, 3)]
    lines[0] = replace(lines[0], fee_minor=93)
    lines.append(a_line(950, settled_on=BATCH_DAY, amount_minor=184_000, fee_minor=2_700))
    world.settle(lines, BATCH_DAY)
    await reconcile_day(service.deps, ReconcileDay("card_sim", BATCH_DAY))
    entries = (
        StatementEntry(180_000, f"card_sim-{BATCH_DAY:%Y%m%d}-EUR"),
        StatementEntry(-120_000, "RENT-1126"),
    )
    statement = Statement("PLATFORM", 328, "EUR", TODAY, 0, 60_000, entries)
    world.statements["EUR", TODAY.isoformat(), "camt053"] = camt053.generate(statement)
    await reconcile_payouts(service.deps, BATCH_DAY)


async def _worked_on(service: Service) -> None:
    """One is claimed, one waits for a second person, one has an owner."""
    for found in await list_breaks(service.deps, BreakFilter(day=BATCH_DAY)):
        match found["break_class"]:
            case "fee_differs":
                await close_break(
                    service.deps, CloseBreak(found["id"], Act.CLAIM, "ada", "Ticket 4712 at card_sim")
                )
            case "missing_in_ledger":
                await close_break(
                    service.deps,
                    CloseBreak(found["id"], Act.NOTE, "ada", "No attempt of ours has this key", None),
                )
                await close_break(
                    service.deps,
                    CloseBreak(found["id"], Act.CORRECT, "ada", "card_sim confirms it, ticket 4711", "grace"),
                )
            case "payout_amount_differs":
                await close_break(
                    service.deps, CloseBreak(found["id"], Act.ASSIGN, "ada", "given to ada", "ada")
                )


async def the_break(service: Service, break_class: str, day: date | None = None) -> str:
    """Its address."""
    [found] = await list_breaks(service.deps, BreakFilter(day=day, break_class=break_class))
    return f"/console/reconciliation/breaks/{found['id']}"


async def a_quarantined(service: Service) -> str:
    return f"/console/quarantine/{(await rows(service.deps.engine, 'quarantine', 'id'))[0]['id']}"
