"""What routing works with in a process: the rules and the success rates, both refreshed beside the requests.

The rules' file is read again each time: a changed ConfigMap, or an edited file, is in use within a refresh, in every
process by itself. A file that is wrong changes nothing. New rules are written down before the first decision is made by
them, so that each can be replayed.
"""

from __future__ import annotations

import asyncio
import contextlib
import tomllib
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from prometheus_client import Gauge
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from payment_gateway.domain.routing_rules import InvalidRules, RoutingRules, parse_rules
from payment_gateway.settings import Settings
from payment_gateway.store import routing_decisions
from platform_kit.logging import get_logger

routing_rules_refused = Gauge(
    "routing_rules_refused",
    "1 while the file of the routing rules is not acceptable and older ones are in use.",
)
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
    refreshing = asyncio.create_task(_keep_fresh(routing, engine, settings, channels))
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
        rules = parse_rules(tomllib.loads(source.read_text()), frozenset(channels) if path else None)
        assert rules.digest  # a number beyond 64 bits has none
        return rules
    except (InvalidRules, tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError, OSError) as error:
        raise InvalidRules(f"ROUTING_FILE {source}: {error}") from None


async def _keep_fresh(
    routing: Routing, engine: AsyncEngine, settings: Settings, channels: Collection[str]
) -> None:
    """The database may be away for a while: the last rates and rules are still the best that we know."""
    remembered = refused = None
    while True:
        wanted = routing.rules
        try:
            wanted = load_rules(settings.routing_file, channels)
            refused = None
        except InvalidRules as error:
            if refused != str(error):
                log.error(
                    "routing rules are refused, the old ones stay", error=str(error), digest=routing.digest
                )
            refused = str(error)
        routing_rules_refused.set(refused is not None)
        try:
            async with engine.begin() as connection:
                if wanted.digest != remembered:
                    await routing_decisions.remember_rules(connection, wanted.digest, wanted.source)
                routing.tallies = await routing_decisions.tally(connection)
            remembered = wanted.digest
        except (SQLAlchemyError, OSError) as error:
            log.warning("success rates are not fresh", error=type(error).__name__)
        if remembered == wanted.digest != routing.digest:
            log.info("routing rules are replaced", was=routing.digest, now=wanted.digest)
            routing.rules, routing.digest = wanted, wanted.digest
        await asyncio.sleep(settings.routing_refresh_s if remembered else 1.0)
