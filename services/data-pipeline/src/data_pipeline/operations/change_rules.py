"""Rule sets through the risk engine's API: look, edit, try, and let them decide. Who may is the engine's to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from data_pipeline.clients.service_api import ServiceRefused
from data_pipeline.domain.operators import Operator
from data_pipeline.domain.rule_documents import (
    Fault,
    RuleChange,
    UnreadableDocument,
    changes,
    located,
    parsed,
    settings_changed,
)
from data_pipeline.operations.deps import Deps
from platform_kit.clock import isoformat

SETS: Final = "/v1/rule-sets"
SETS_SHOWN: Final = 50
PUBLICATIONS_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class RuleSets:
    """Saved sets, newest first, what decided when, and how a trial goes; None without one."""

    sets: Sequence[Mapping[str, Any]]
    publications: Sequence[Mapping[str, Any]]
    trial: Mapping[str, Any] | None

    @property
    def live(self) -> str:
        """The hash of the set that decides."""
        return next((str(one["hash"]) for one in self.sets if one["status"] == "live"), "")


@dataclass(frozen=True, slots=True)
class RuleSetView:
    """A set, how it differs from the one that decides, and its newest backtest."""

    rule_set: dict[str, Any]
    changes: Sequence[RuleChange]
    settings: Sequence[str]
    backtest: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a document: the set that was saved, or what is wrong with it; neither when it was only checked."""

    faults: Sequence[Fault] = ()
    hash: str = ""
    rule_count: int = 0


async def list_rule_sets(deps: Deps, by: Operator) -> RuleSets:
    """Raises ServiceAway, ServiceRefused."""
    sets = (await deps.risk.get(SETS, by, {"limit": SETS_SHOWN}))["data"]
    publications = await deps.risk.get("/v1/deployment/history", by, {"limit": PUBLICATIONS_SHOWN})
    try:
        trial = await deps.risk.get("/v1/deployment/trial", by)
    except ServiceRefused:  # nothing is on trial
        trial = None
    return RuleSets(sets, publications["data"], trial)


async def show_rule_set(deps: Deps, by: Operator, rule_set: str) -> RuleSetView:
    """Raises ServiceAway, ServiceRefused."""
    shown = await deps.risk.get(f"{SETS}/{rule_set}", by)
    live = await live_document(deps, by)
    tried = (await deps.risk.get("/v1/backtests", by, {"rule_set": rule_set, "limit": 1}))["data"]
    return RuleSetView(
        shown,
        changes(live, shown["document"]),
        settings_changed(live, shown["document"]),
        tried[0] if tried else None,
    )


async def live_document(deps: Deps, by: Operator) -> dict[str, Any]:
    """The content of the set that decides. Raises ServiceAway, ServiceRefused."""
    newest = (await deps.risk.get("/v1/deployment/history", by, {"limit": 1}))["data"]
    document: dict[str, Any] = (await deps.risk.get(f"{SETS}/{newest[0]['hash']}", by))["document"]
    return document


async def check_document(deps: Deps, by: Operator, text: str, *, is_kept: bool) -> Checked:
    """Check a document, and save it when it is good and `is_kept`. Raises ServiceAway, or ServiceRefused for what is no
    fault of the document."""
    try:
        document = parsed(text)
        saved = await deps.risk.act(SETS if is_kept else "/v1/rule-checks", by, document)
    except UnreadableDocument as unreadable:
        return Checked((unreadable.fault,))
    except ServiceRefused as refused:
        if refused.status != 422:
            raise
        errors = refused.errors or [{"detail": refused.detail}]
        return Checked(located(text, errors))
    return Checked(hash=saved["hash"] if is_kept else "", rule_count=saved["rule_count"])


async def backtest_rule_set(deps: Deps, by: Operator, rule_set: str, days: int) -> None:
    """Have it decide the last days again. Raises ServiceAway, ServiceRefused."""
    since = isoformat(deps.clock.now() - timedelta(days=days))
    await deps.risk.act("/v1/backtests", by, {"rule_set": rule_set, "since": since})


async def approve_rule_set(deps: Deps, by: Operator, rule_set: str, note: str) -> None:
    """Somebody else's. Raises ServiceAway, ServiceRefused."""
    await deps.risk.act(f"{SETS}/{rule_set}/approve", by, {"note": note} if note else {})


async def publish_rule_set(deps: Deps, by: Operator, rule_set: str) -> None:
    """It decides within two seconds. Raises ServiceAway, ServiceRefused."""
    await deps.risk.act(f"{SETS}/{rule_set}/publish", by)


async def try_rule_set(deps: Deps, by: Operator, rule_set: str, share_bp: int) -> None:
    """Beside the one that decides; with a share of payments of its own. Raises ServiceAway, ServiceRefused."""
    await deps.risk.act(f"{SETS}/{rule_set}/trial", by, {"share_bp": share_bp})


async def end_trial(deps: Deps, by: Operator) -> None:
    """Raises ServiceAway, ServiceRefused."""
    await deps.risk.act("/v1/deployment/end-trial", by)


async def roll_back(deps: Deps, by: Operator) -> None:
    """The set that decided before this one, at once. Raises ServiceAway, ServiceRefused."""
    await deps.risk.act("/v1/deployment/rollback", by)
