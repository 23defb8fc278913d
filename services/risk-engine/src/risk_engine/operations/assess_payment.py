"""Decide about one payment: windows, score, rules, decision, and its record before the answer.

No SQL is read. Each stage has a share of the deadline; a stage that fails or is late is a fault, and
`domain/failure_policy.py` says what a fault means. The only thing that ends in an error is a decision that could not
be queued for storing: the gateway then decides by its own policy.
"""

import asyncio
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from platform_kit import canonical
from platform_kit.deadline import Deadline
from platform_kit.idempotency import KeyReused
from platform_kit.ids import new_id
from risk_engine.clients.cel import CompiledRuleSet
from risk_engine.clients.features import VelocityUnavailable
from risk_engine.clients.model import ModelUnavailable
from risk_engine.domain.assessment import LIFETIME, Assessment, request_of
from risk_engine.domain.decision import Decision
from risk_engine.domain.facts import Fact, Subject, build_facts, is_night, is_weekend, no_windows, sized_facts
from risk_engine.domain.failure_policy import Fault
from risk_engine.domain.features import model_features
from risk_engine.domain.let_through import is_drawn, may_be_let_through
from risk_engine.domain.links import no_news
from risk_engine.domain.related_payments import linked_entities
from risk_engine.domain.rules import Evaluation, Outcome, decide
from risk_engine.domain.score import Estimate
from risk_engine.domain.trial import Verdict
from risk_engine.operations import metrics
from risk_engine.operations.deps import Deployed, Deps
from risk_engine.store.assessment_flush import new_row

COMMIT_SHARE_S = 0.010  # of the deadline, kept for storing: rules that cannot begin before it are not asked


@dataclass(slots=True)
class _Watch:
    """Time of this decision: what is left of the deadline, and how long each stage took."""

    answer_by_s: float
    stage_began_s: float = field(default_factory=time.perf_counter)
    stages_us: dict[str, int] = field(default_factory=dict)

    def left_s(self) -> float:
        return self.answer_by_s - time.perf_counter()

    def ended(self, stage: str) -> None:
        now_s = time.perf_counter()
        _observe(stage)(now_s - self.stage_began_s)
        self.stages_us[stage] = int((now_s - self.stage_began_s) * 1_000_000)
        self.stage_began_s = now_s


_observe = lru_cache(maxsize=8)(lambda stage: metrics.stage_seconds.labels(stage).observe)
_decided = lru_cache(maxsize=8)(lambda decision: metrics.assessments_total.labels(decision).inc)


async def assess_payment(deps: Deps, subject: Subject, deadline: Deadline | None = None) -> Mapping[str, Any]:
    """The assessment object for (merchant, key): this decision, or the one already stored under the key. It takes our
    own deadline, or what is left of the caller's `deadline`.

    Raises KeyReused when the key holds another request, NotCommitted or CommitUnknown when nothing may be stored.
    """
    allowed_s = deps.deadline_s if deadline is None else deadline.sooner(deps.deadline_s)
    watch = _Watch(time.perf_counter() + allowed_s)
    deployed = deps.rules.deployed  # the sets that this decision keeps, whatever is published meanwhile
    assessment = await _decide(deps, deployed, subject, watch)
    answer = await _store(deps, assessment, watch)
    _note(assessment, answer)
    return answer


async def _decide(deps: Deps, deployed: Deployed, subject: Subject, watch: _Watch) -> Assessment:
    compiled, heard = deployed.sides(subject.merchant_id, subject.key)
    rule_set, faults = compiled.rule_set, list[Fault]()
    band = rule_set.band_of(subject.amount_minor, subject.currency)
    reference_minor = rule_set.reference_minor(subject.amount_minor, subject.currency)
    windows = await _windows(deps, subject, reference_minor or 0, faults)
    watch.ended("velocity")
    estimate = _estimate(deps, subject, reference_minor, windows, faults)
    score = None if estimate is None else estimate.score
    watch.ended("score")
    asked = compiled.lists | heard.lists if heard else compiled.lists
    listed = deps.lists.copy.facts(asked, subject, deps.clock.now()) if asked else {}
    facts = build_facts(subject, band, reference_minor, windows or no_windows(), score) | listed
    evaluation = _ask_rules(
        compiled, facts, watch, faults, has_velocity=windows is not None, has_score=score is not None
    )
    evaluation = _without_snoozed(deps, subject, evaluation)
    outcome = decide(rule_set, evaluation, score, band, faults)
    left_s = watch.left_s() - COMMIT_SHARE_S
    let_through = await _is_let_through(deps, subject, outcome, facts, reference_minor, left_s)
    watch.ended("rules")
    other = (
        _hear(deps, heard, subject, facts, score, watch, faults, has_velocity=windows is not None)
        if heard
        else None
    )
    return Assessment(
        id=new_id("asm"),
        fingerprint=fingerprint_of(subject),
        subject=subject,
        decision=Decision.ALLOW if let_through else outcome.decision,
        score=score or 0,
        probability_ppm=None if estimate is None else estimate.probability_ppm,
        reasons=outcome.reasons,
        degraded=outcome.degraded,
        rule_set=rule_set.hash,
        model=deps.scorer.hash if deps.scorer and score is not None else None,
        facts=facts,
        evaluation=evaluation,
        let_through=let_through,
        other=other,
        timings_us=watch.stages_us,
        expires_at=deps.clock.now() + LIFETIME,
    )


async def _windows(
    deps: Deps, subject: Subject, amount: int, faults: list[Fault]
) -> Mapping[str, int | bool] | None:
    """The velocity windows with this payment in them; None without Redis. Nobody is new to an engine that has just
    lost its memory."""
    try:
        velocity = await deps.features.assess(subject, amount)
    except VelocityUnavailable as error:
        canonical.add(velocity_error=str(error))
        faults.append(Fault.VELOCITY)
        return None
    if velocity.is_warm:
        return velocity.windows
    faults.append(Fault.VELOCITY_COLD)
    return {**velocity.windows, **no_news()}


def _estimate(
    deps: Deps,
    subject: Subject,
    reference_minor: int | None,
    windows: Mapping[str, int | bool] | None,
    faults: list[Fault],
) -> Estimate | None:
    """What the model says; None without a model, without windows (already a fault) or without a comparable amount."""
    if reference_minor is None:
        faults.append(Fault.REFERENCE_RATE)
        return None
    if deps.scorer is None:
        faults.append(Fault.MODEL)
        return None
    if windows is None:
        return None
    row = model_features(
        reference_minor,
        windows,
        is_weekend=is_weekend(subject.occurred_at),
        is_night=is_night(subject.occurred_at),
        names=deps.scorer.features,
    )
    try:
        return deps.scorer.estimate(row)
    except ModelUnavailable as error:
        canonical.add(model_error=str(error))
        faults.append(Fault.MODEL)
        return None


def _ask_rules(
    compiled: CompiledRuleSet,
    facts: Mapping[str, Any],
    watch: _Watch,
    faults: list[Fault],
    *,
    has_velocity: bool,
    has_score: bool,
) -> Evaluation:
    """The rules' answers, or none of them when the deadline is too near."""
    if watch.left_s() < COMMIT_SHARE_S:
        faults.append(Fault.DEADLINE)
        return Evaluation(skipped=tuple(one.rule.id for one in compiled.rules))
    return compiled.evaluate(facts, has_velocity=has_velocity, has_score=has_score)


def _without_snoozed(deps: Deps, subject: Subject, evaluation: Evaluation) -> Evaluation:
    snoozes = deps.snoozes.copy
    if not snoozes.until or not evaluation.hits:
        return evaluation
    entities = linked_entities(subject.merchant_id, request_of(subject))
    return snoozes.applied(evaluation, entities, deps.clock.now())


async def _is_let_through(
    deps: Deps,
    subject: Subject,
    outcome: Outcome,
    facts: Mapping[str, Fact],
    reference_minor: int | None,
    left_s: float,
) -> bool:
    """Whether a payment that would be blocked is of the random share that is not, and the hour has room for it. Only
    who was drawn costs a call; without an answer to it the payment stays blocked."""
    share_bp, max_minor = deps.settings.let_through_bp, deps.settings.let_through_max_minor
    if not share_bp or not may_be_let_through(outcome, facts, reference_minor, max_minor):
        return False
    secret = deps.settings.internal_token.get_secret_value().encode()
    if not is_drawn(secret, subject, share_bp):
        return False
    try:
        return await deps.features.take_let_through(
            f"{deps.clock.now():%Y-%m-%dT%H}", deps.settings.let_through_per_hour_max, left_s
        )
    except (VelocityUnavailable, TimeoutError):
        return False


def _hear(
    deps: Deps,
    compiled: CompiledRuleSet,
    subject: Subject,
    facts: Mapping[str, Fact],
    score: int | None,
    watch: _Watch,
    faults: list[Fault],
    *,
    has_velocity: bool,
) -> Verdict | None:
    """What the other set of a trial says of the same facts; amounts are sized by its own bands and rates. None when
    the deadline is near: a trial must not cost the decision."""
    if watch.left_s() < COMMIT_SHARE_S or Fault.DEADLINE in faults:
        return None
    rule_set = compiled.rule_set
    own, band = sized_facts(rule_set, facts)
    evaluation = compiled.evaluate(own, has_velocity=has_velocity, has_score=score is not None)
    evaluation = _without_snoozed(deps, subject, evaluation)
    outcome = decide(rule_set, evaluation, score, band, faults)
    watch.ended("trial")
    return Verdict(rule_set.hash, outcome.decision, tuple(rule.id for rule in evaluation.hits))


async def _store(deps: Deps, assessment: Assessment, watch: _Watch) -> dict[str, Any]:
    """Wait until the decision is durable. Past the deadline it is answered and still written: its row says late."""
    try:
        async with asyncio.timeout(max(watch.left_s(), 0.001)):
            stored = await deps.committer.submit(new_row(assessment, watch.answer_by_s))
    except TimeoutError:
        watch.ended("commit")
        answer = assessment.as_answer()
        return answer | {"degraded": [*answer["degraded"], Fault.COMMIT_LATE.value]}
    watch.ended("commit")
    if stored.fingerprint != assessment.fingerprint:
        raise KeyReused("Use a new key for another payment.")
    return stored.answer


def fingerprint_of(subject: Subject) -> bytes:
    """What makes a request another one under the same key. Payment id and time may differ: a gateway that crashed
    before it stored anything asks again for the same purchase under a new payment id."""
    parts = (subject.amount_minor, subject.currency, subject.method, subject.card, subject.customer_id)
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).digest()


def _note(assessment: Assessment, answer: Mapping[str, Any]) -> None:
    """Metrics and the canonical line."""
    _decided(answer["decision"])()
    for fault in answer["degraded"]:
        metrics.faults_total.labels(fault).inc()
    for rule, _ in assessment.evaluation.errors:
        metrics.rule_errors_total.labels(rule).inc()
    canonical.add(
        assessment_id=answer["id"],
        payment_id=assessment.subject.payment_id,
        merchant_id=assessment.subject.merchant_id,
        decision=answer["decision"],
        score=answer["score"],
        degraded=answer["degraded"] or None,
        is_replay=answer["id"] != assessment.id,
    )
