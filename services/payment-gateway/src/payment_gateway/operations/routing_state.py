"""What routing works with in a process: the rules, and success rates that are refreshed beside the requests."""

from __future__ import annotations

import asyncio
import contextlib
import tomllib
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from payment_gateway.domain.routing_rules import InvalidRules, RoutingRules, parse_rules
from payment_gateway.settings import Settings
from payment_gateway.store import routing_decisions
from platform_kit.logging import get_logger

log = get_logger(__name__)


@dataclass
class Routing:
    """Read by every request, replaced as a whole by the refresh: no request waits for a query."""

    rules: RoutingRules
    digest: str
    tallies: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@asynccontextmanager
async def open_routing(
    settings: Settings, engine: AsyncEngine, channels: Collection[str]
) -> AsyncIterator[Routing]:
    """Raises InvalidRules, which names the file and the key, before anything is served."""
    rules = load_rules(settings.routing_file, channels)
    routing = Routing(rules, rules.digest)
    refreshing = asyncio.create_task(_keep_fresh(routing, engine, settings.routing_refresh_s))
    try:
        yield routing
    finally:
        refreshing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await refreshing


def load_rules(path: str, channels: Collection[str]) -> RoutingRules:
    """The rules of `path`, or those of the package when it is empty; channels that are not deployed are left out of the
    package's rules only. Raises InvalidRules."""
    source = Path(path) if path else files("payment_gateway") / "routing.toml"
    try:
        return parse_rules(tomllib.loads(source.read_text()), frozenset(channels) if path else None)
    except (InvalidRules, tomllib.TOMLDecodeError, OSError) as error:
        raise InvalidRules(f"ROUTING_FILE {source}: {error}") from None


async def _keep_fresh(routing: Routing, engine: AsyncEngine, every_s: float) -> None:
    """The database may be away for a while: the last rates are still the best that we know."""
    remembered = False
    while True:
        try:
            async with engine.begin() as connection:
                if not remembered:
                    await routing_decisions.remember_rules(connection, routing.digest, routing.rules.source)
                routing.tallies = await routing_decisions.tally(connection)
            remembered = True
        except (SQLAlchemyError, OSError) as error:
            log.warning("success rates are not fresh", error=type(error).__name__)
        await asyncio.sleep(every_s if remembered else 1.0)
