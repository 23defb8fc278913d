"""Every minute: look at what was decided, at the parts of the engine and at the channels, and settle the alerts.

The time is the database's, as that of the rows looked at: a worker whose clock jumped would see an empty window, and
report that instead of its clock.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.logging import get_logger
from risk_engine.clients.cel import compile_document
from risk_engine.clients.features import FILLED_MAX, VelocityUnavailable, filled
from risk_engine.domain import card_testing
from risk_engine.domain.alert_kinds import KINDS
from risk_engine.domain.alerts import Signal
from risk_engine.domain.burn_rate import find_burns
from risk_engine.domain.card_testing import find_card_testing
from risk_engine.domain.decision_mix import Counts, find_mix, find_silence
from risk_engine.domain.failure_policy import Fault
from risk_engine.domain.part_faults import find_missing_parts, find_skew
from risk_engine.domain.rule_documents import InvalidRuleSet
from risk_engine.operations import metrics, watch_chain, watch_decisions, watch_drift, watch_quality
from risk_engine.operations.deps import Deps
from risk_engine.operations.settle_alerts import settle_alerts
from risk_engine.store import alert_deliveries, alerts, assessments, card_tests, decision_minutes, rule_sets

WINDOW = timedelta(minutes=5)
BASELINE = timedelta(hours=1)
SILENCE = timedelta(minutes=10)
UNDELIVERED = timedelta(minutes=10)
PROBE_S = 2.0  # for Redis to say whether its windows are complete
# What other jobs look for: only who looked can say that it is over.
BY_OTHERS = watch_drift.WATCHED | watch_quality.WATCHED | watch_chain.WATCHED | watch_decisions.WATCHED

log = get_logger(__name__)


async def raise_alerts(deps: Deps, *, now: datetime | None = None) -> Sequence[str]:
    """One look; returns the ids of the alerts that were raised or reopened. `now` is the database's by default."""
    async with deps.engine.connect() as conn:
        database_now, own_now = await assessments.database_now(conn), deps.clock.now()
        now = now or database_now
        slices = await decision_minutes.slices(conn, now)
    for since, until in slices:
        async with deps.engine.begin() as conn:
            await decision_minutes.roll_up(conn, since, until)
    own_skew_ms = int((own_now - database_now).total_seconds() * 1000)
    watched = set(KINDS) - BY_OTHERS
    async with deps.engine.connect() as conn:
        counted = await _in_decisions(conn, now, own_skew_ms)
        counted += await _in_channels(conn, now)
        published = await _published(conn)
        has_traffic = (await decision_minutes.counts(conn, now - WINDOW, now)).total > 0
    # Of two signals of one fingerprint the later one stands: what was counted says more than what was probed.
    signals = await _in_parts(deps, published, has_traffic=has_traffic) + counted
    try:
        async with deps.engine.connect() as conn:
            signals += find_card_testing(await card_tests.merchant_cards(conn, now - card_testing.WINDOW))
    except DBAPIError as error:  # the one look that is as heavy as the traffic: the others do not wait for it
        log.warning("card testing not looked for", error=type(error.orig).__name__)
        watched.discard("card_testing")
    async with deps.engine.begin() as conn:
        raised = await settle_alerts(deps, conn, signals, watched, now)
        metrics.note_firing(await alerts.firing(conn))
    metrics.alert_looks_total.inc()
    return raised


async def _in_decisions(conn: AsyncConnection, now: datetime, own_skew_ms: int) -> list[Signal]:
    recent = await decision_minutes.counts(conn, now - WINDOW, now)
    before = await decision_minutes.counts(conn, now - WINDOW - BASELINE, now - WINDOW)
    silent = await decision_minutes.counts(conn, now - SILENCE, now)
    spoken = await decision_minutes.counts(conn, now - SILENCE - BASELINE, now - SILENCE)
    windows: dict[timedelta, Counts] = {
        length: await decision_minutes.counts(conn, now - length, now)
        for length in (WINDOW, timedelta(minutes=30), timedelta(hours=1), timedelta(hours=6))
    }
    failed = await assessments.failed_rules(conn, now - WINDOW) if recent.faults.get(Fault.RULE_ERROR) else []
    return [
        *find_mix(recent, before),
        *find_silence(silent, spoken),
        *find_burns(windows.__getitem__),
        *find_missing_parts(recent, failed),
        *find_skew(recent, own_skew_ms),
    ]


async def _in_channels(conn: AsyncConnection, now: datetime) -> list[Signal]:
    given_up = await alert_deliveries.given_up(conn, now - UNDELIVERED)
    return [
        Signal(
            "alert_undelivered",
            f"{number} alerts were given up on the channel {channel}: {error}.",
            scope=channel,
            measures={"given_up": number, "error": error},
        )
        for channel, (number, error) in given_up.items()
    ]


async def _published(conn: AsyncConnection) -> list[dict[str, object]]:
    """The documents that all processes should decide with: the live set's, and its challenger's."""
    live = await rule_sets.live(conn)
    hashes = [live.rule_set, live.challenger] if live else []
    found = [await rule_sets.document(conn, one) for one in hashes if one is not None]
    return [document for document in found if document is not None]


async def _in_parts(deps: Deps, published: Sequence[dict[str, object]], *, has_traffic: bool) -> list[Signal]:
    """What this process sees of the parts that all processes share: Redis, model file, rule file, published rules."""
    signals = []
    try:
        async with asyncio.timeout(PROBE_S):
            is_warm = await deps.features.is_warm()
        if not is_warm and has_traffic:  # before the first decision there is nothing to be rebuilt
            signals.append(Signal("velocity_cold", "The velocity windows are being rebuilt."))
    except (VelocityUnavailable, TimeoutError):
        signals.append(Signal("velocity_lost", "Redis does not answer: decisions are made without windows."))
    signals += await _in_memory(deps)
    if deps.scorer is None:
        signals.append(Signal("model_missing", "The model file cannot be loaded: rules decide alone."))
    if deps.rules.is_file_refused:
        summary = "RULES_FILE cannot be used; the packaged rules stand in until a set is published."
        signals.append(Signal("rules_file_refused", summary))
    for document in published:
        if refused := await asyncio.to_thread(_refusal_of, document):
            summary = "A published rule set does not compile."
            signals.append(Signal("rule_set_refused", summary, measures={"why": refused}))
    return signals


async def _in_memory(deps: Deps) -> list[Signal]:
    """Which Redis is nearly full; one that does not answer says nothing here."""
    servers: dict[str, Callable[[], Awaitable[float]]] = {
        "velocity": deps.features.filled,
        "streams": partial(filled, deps.redis),
    }
    if deps.settings.velocity == deps.settings.streams:
        del servers["streams"]
    signals = []
    for name, ask in servers.items():
        with suppress(VelocityUnavailable, RedisError, OSError, TimeoutError):
            async with asyncio.timeout(PROBE_S):
                share = await ask()
            if share >= FILLED_MAX:
                summary = f"The Redis of {name} uses {share:.0%} of its memory."
                signals.append(
                    Signal("redis_memory", summary, scope=name, measures={"filled": round(share, 3)})
                )
    return signals


def _refusal_of(document: dict[str, object]) -> str | None:
    try:
        compile_document(document)
    except InvalidRuleSet as refused:
        return str(refused)[:300]
    return None
