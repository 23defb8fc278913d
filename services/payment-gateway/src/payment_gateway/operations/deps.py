"""What the gateway's operations work with, and the one place that opens it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from payment_gateway.clients.banking import Banking
from payment_gateway.clients.channels import Channel, open_channels
from payment_gateway.clients.risk import RiskClient
from payment_gateway.clients.vaulted import VaultedChannel
from payment_gateway.clients.webhooks import WebhookSender
from payment_gateway.operations.note_key_uses import KeyUses, open_key_uses
from payment_gateway.operations.request_limits import RequestLimits, open_limits
from payment_gateway.operations.routing_state import Routing, open_routing
from payment_gateway.operations.subjects import Subjects
from payment_gateway.operations.vault import Vault, open_vault
from payment_gateway.settings import Settings
from payment_gateway.store import commit
from payment_gateway.store.commit import Commit, Result
from payment_gateway.store.terms_cache import TermsCache
from platform_kit.breaker import Breaker
from platform_kit.clock import Clock, SystemClock
from platform_kit.committer import Committer
from platform_kit.db import create_engine
from platform_kit.http import HttpClient
from platform_kit.idempotency import Claim, KeyRecord

GATHER_MAX_S = 0.02  # two flushes a payment: at most this much more for each when the cores are busy


@dataclass(frozen=True)
class Deps:
    """Shared by all requests of one process."""

    settings: Settings
    engine: AsyncEngine
    committer: Committer[Commit, Result]
    replays: Committer[Claim, KeyRecord | None]
    """Reads of idempotency keys, batched like the writes: one statement for all requests that wait."""
    channels: Mapping[str, Channel]
    routing: Routing
    banking: Banking
    terms: TermsCache
    risk: RiskClient
    webhooks: WebhookSender
    vault: Vault
    subjects: Subjects
    limits: RequestLimits
    key_uses: KeyUses
    clock: Clock


@asynccontextmanager
async def open_deps(settings: Settings) -> AsyncIterator[Deps]:
    """Engine, committer and clients for as long as the process runs; the committer drains first on the way out."""
    async with AsyncExitStack() as stack:
        engine, clock = create_engine(settings), SystemClock()
        stack.push_async_callback(engine.dispose)
        risk = await stack.enter_async_context(
            HttpClient(
                "risk",
                settings.risk_url,
                timeout_s=settings.risk_deadline_s,
                connect_timeout_s=settings.risk_deadline_s,
                headers={"Authorization": f"Bearer {settings.internal_token.get_secret_value()}"},
                breaker=Breaker("risk"),
            )
        )
        webhooks = await stack.enter_async_context(
            WebhookSender(
                timeout_s=settings.webhook_timeout_s,
                allow_private=settings.webhook_allow_private,
            )
        )
        vault = await stack.enter_async_context(open_vault(settings))
        channels = await stack.enter_async_context(open_channels(settings))
        committer = await stack.enter_async_context(
            Committer(engine, commit.flush, gather_max_s=GATHER_MAX_S, weight=lambda commit: commit.weight)
        )
        replays = await stack.enter_async_context(
            Committer(engine, commit.find_keys, name="replays", reads_only=True, gather_max_s=GATHER_MAX_S)
        )
        yield Deps(
            settings=settings,
            engine=engine,
            committer=committer,
            replays=replays,
            channels={name: VaultedChannel(channel, vault.reveal) for name, channel in channels.items()},
            routing=await stack.enter_async_context(open_routing(settings, engine, channels)),
            terms=TermsCache(engine),
            banking=await stack.enter_async_context(Banking.open(settings)),
            risk=RiskClient(risk, settings.risk_deadline_s),
            webhooks=webhooks,
            vault=vault,
            subjects=Subjects(vault, settings.subjects_remembered_s),
            limits=await stack.enter_async_context(open_limits(settings)),
            key_uses=await stack.enter_async_context(open_key_uses(engine, clock)),
            clock=clock,
        )
