"""Say why the model scored as it did, for every decision that is not `allow`: a moment later, never on its way.

TreeSHAP costs fifty times what a score does, more with larger models. An explanation is made from the stored facts, so
it is about the payment as it was seen, and only by the model that scored it.
"""

from datetime import datetime, timedelta
from typing import Any

from platform_kit.ids import earliest_id
from risk_engine.clients.model import Explainer
from risk_engine.domain.features import features_of_decision
from risk_engine.domain.reason_codes import ModelReason, top_reasons
from risk_engine.operations.deps import Deps, Explained
from risk_engine.store import explanations

LOOKS_BACK = timedelta(days=1)  # a worker that was away for longer leaves what is older unexplained
WHOLE_EVERY = timedelta(
    hours=1
)  # between two looks at all of it: for what was committed later than LATE_COMMIT
LATE_COMMIT = timedelta(minutes=2)  # after its id was made: looked for each time
SLICE = 100  # 12 ms of one core with the packaged model
SLICES_MAX = 50  # of one run; the next one goes on


async def explain_decisions(deps: Deps) -> int:
    """Explain what has no explanation yet; returns how many. Two workers at once store one each.

    Assessments of another model stay unexplained: its trees are not here.
    """
    scorer = deps.scorer
    if not isinstance(scorer, Explainer):  # no model, or ONNX, which gives no contributions
        return 0
    now, explained = deps.clock.now(), 0
    since = _since(deps.explained, now)
    after = earliest_id("asm", since)
    for _ in range(SLICES_MAX):
        async with deps.engine.begin() as conn:
            rows = await explanations.unexplained(conn, scorer.hash, after, SLICE)
            made = [(row.id, scorer.hash, reasons_of(scorer, row.facts)) for row in rows]
            explained += await explanations.add(conn, made)
        if len(rows) < SLICE:
            deps.explained.to = now
            deps.explained.whole_at = now if since <= now - LOOKS_BACK else deps.explained.whole_at
            break
        after = rows[-1].id
    return explained


def _since(done: Explained, now: datetime) -> datetime:
    """From where to look: mostly from where the last look ended, so that little is passed over again."""
    if done.to is None or done.whole_at is None or done.whole_at <= now - WHOLE_EVERY:
        return now - LOOKS_BACK
    return done.to - LATE_COMMIT


def reasons_of(scorer: Explainer, facts: dict[str, Any]) -> tuple[ModelReason, ...]:
    """The model's reasons for a payment with these facts. Raises ModelUnavailable."""
    row = features_of_decision(facts, scorer.features)
    return top_reasons(scorer.features, row, scorer.contributions(row))
