"""What the operations work with, opened once per process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_kit.clock import Clock, SystemClock
from platform_kit.committer import Committer
from platform_kit.db import create_engine
from platform_kit.logging import get_logger
from platform_kit.redis import create_redis
from risk_engine.clients import model, rule_files
from risk_engine.clients.alert_channels import AlertSender, Channel, read_channels
from risk_engine.clients.cel import CompiledRuleSet, compile_document
from risk_engine.clients.features import FeatureStore
from risk_engine.clients.geography import CountryOf, InvalidGeography, open_geography
from risk_engine.clients.model import ModelUnavailable, Scorer
from risk_engine.clients.model_trial import open_model, try_model
from risk_engine.domain.fingerprints import Fingerprints, fingerprints_of
from risk_engine.domain.lists import Lists
from risk_engine.domain.rule_documents import InvalidRuleSet
from risk_engine.domain.snoozes import Snoozes
from risk_engine.domain.staff import Actor
from risk_engine.domain.trial import is_challenged
from risk_engine.settings import Settings
from risk_engine.store import assessment_flush
from risk_engine.store.assessment_flush import NewAssessment, Stored

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Deployed:
    """What decides: the live set, and on trial a challenger with its share of payments in basis points."""

    live: CompiledRuleSet
    challenger: CompiledRuleSet | None = None
    share_bp: int = 0
    publication: int = 0  # until Postgres has said which set is live

    def sides(self, merchant_id: str, key: str) -> tuple[CompiledRuleSet, CompiledRuleSet | None]:
        """Which set decides this payment, and which is only heard."""
        if self.challenger and is_challenged(self.share_bp, merchant_id, key):
            return self.challenger, self.live
        return self.live, self.challenger


@dataclass(slots=True)
class RulesInUse:
    """The one mutable thing: what decides. Replaced by one assignment, so a request that read `deployed` keeps whole
    sets, old or new."""

    deployed: Deployed
    refused: int = 0  # newest publication that did not compile here: not tried again
    is_file_refused: bool = False  # RULES_FILE was not usable, and the packaged set stands in for it

    @property
    def compiled(self) -> CompiledRuleSet:
        return self.deployed.live

    @property
    def publication(self) -> int:
        return self.deployed.publication


@dataclass(slots=True)
class ListsInUse:
    """The lists of this process, and the number of the newest change that is in them."""

    copy: Lists = field(default_factory=Lists)
    seen: int = 0


@dataclass(slots=True)
class SnoozesInUse:
    """The snoozes that this process knows: replaced by one assignment."""

    copy: Snoozes = field(default_factory=lambda: Snoozes({}))


@dataclass(slots=True)
class Explained:
    """How far this process has explained decisions, and when it last looked at all that are young enough."""

    to: datetime | None = None
    whole_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Deps:
    """The engine, the windows, the model, the rules and the committer of one process."""

    settings: Settings
    engine: AsyncEngine
    redis: Redis  # streams and pub/sub
    features: FeatureStore
    scorer: Scorer | None
    rules: RulesInUse
    committer: Committer[NewAssessment, Stored]
    lists: ListsInUse = field(default_factory=ListsInUse)
    snoozes: SnoozesInUse = field(default_factory=SnoozesInUse)
    known_staff: dict[bytes, tuple[float, Actor]] = field(
        default_factory=dict
    )  # by hash of token, until when
    compiled_sets: dict[str, CompiledRuleSet] = field(default_factory=dict)  # of the past, by hash
    country_of: CountryOf = field(default_factory=lambda: open_geography(None))
    fingerprints: Fingerprints = field(default_factory=Fingerprints)
    explained: Explained = field(default_factory=Explained)
    channels: tuple[Channel, ...] = ()
    alert_sender: AlertSender = field(default_factory=lambda: AlertSender(()))
    clock: Clock = field(default_factory=SystemClock)

    @property
    def deadline_s(self) -> float:
        """Seconds that one decision may take."""
        return self.settings.deadline_ms / 1000


GATHER_MAX_S = 0.01  # of a deadline of 100 ms


@asynccontextmanager
async def open_deps(settings: Settings) -> AsyncIterator[Deps]:
    """Open everything, yield it, flush and close. Nothing is asked of Postgres or Redis yet: they may be away."""
    engine = create_engine(settings)
    streams, windows = create_redis(settings.streams), create_redis(settings.velocity)
    fingerprints = fingerprints_of(settings.risk_fingerprint_keys.get_secret_value())
    if not fingerprints.newest:
        log.warning("no fingerprint keys: addresses can be guessed from what is kept, see docs/privacy.md")
    features = FeatureStore(
        windows,
        timeout_s=settings.velocity_timeout_ms / 1000,
        strangers_per_day_max=settings.strangers_per_day_max,
        named_by=fingerprints.newest,
    )
    rules, channels = load_rules(settings), read_channels(settings.risk_alert_channels)
    try:
        async with (
            AlertSender(channels) as sender,
            Committer(
                engine,
                assessment_flush.flush,
                name="assessments",
                lanes=settings.commit_lanes,
                gather_max_s=GATHER_MAX_S,
            ) as committer,
        ):
            yield Deps(
                settings,
                engine,
                streams,
                features,
                load_scorer(settings),
                rules,
                committer,
                country_of=load_geography(settings),
                fingerprints=fingerprints,
                channels=channels,
                alert_sender=sender,
            )
    finally:
        await windows.aclose()
        await streams.aclose()
        await engine.dispose()


def load_rules(settings: Settings) -> RulesInUse:
    """The first rule set. RULES_FILE that cannot be read or compiled is no reason not to decide: the packaged set
    stands in until one is published, with an error in the log and an alert."""
    if settings.rules_file is not None:
        try:
            document = rule_files.read_rule_document(settings.rules_file)
            return RulesInUse(Deployed(compile_document(document)))
        except (OSError, ValueError, InvalidRuleSet) as error:
            log.error("rules file refused, the packaged rules stand in", error=str(error)[:300])
    packaged = compile_document(rule_files.read_rule_document(rule_files.PACKAGED))
    return RulesInUse(Deployed(packaged), is_file_refused=settings.rules_file is not None)


def load_scorer(settings: Settings) -> Scorer | None:
    """The model, or None with an error in the log: the failure policy then says `model` on every decision."""
    model_file = settings.model_file or model.PACKAGED
    try:
        if settings.model_file is not None:  # somebody's own: a file that is cut off would end this process
            try_model(model_file)
        return open_model(model_file)
    except ModelUnavailable as error:
        log.error("no model, rules decide alone", error=str(error))
        return None


def load_geography(settings: Settings) -> CountryOf:
    """Where addresses are. A file that cannot be read is no reason not to decide: addresses are nowhere then."""
    try:
        return open_geography(settings.ip_country_file)
    except (OSError, InvalidGeography) as error:
        log.error("table of addresses refused, their countries are unknown", error=str(error)[:300])
        return open_geography(None)
