"""Which finding follows from which: one Postgres that cannot be scheduled leaves a dozen pods unready, and there is one
thing to mend.
"""

from __future__ import annotations

from dataclasses import replace

from platform_cli.k8s.finding import Finding, Severity
from platform_cli.k8s.snapshot import MIGRATION, name_of
from platform_cli.k8s.workloads import Workloads

BASES = ("postgres", "redis")  # everything else waits for them


def grouped(found: list[Finding], about: Workloads) -> list[Finding]:
    """Each consequence under its cause, which is at least as severe; what has no cause stands by itself."""
    under: dict[int, int] = {}
    for number, finding in enumerate(found):
        cause = _cause(number, finding, found, about)
        if cause is not None:
            under[number] = cause

    def tree(number: int) -> Finding:
        below = tuple(tree(child) for child, cause in under.items() if cause == number)
        severity = min(
            (found[number].severity, *(child.severity for child in below)), key=list(Severity).index
        )
        return replace(found[number], severity=severity, leads_to=below)

    return [tree(number) for number in range(len(found)) if number not in under]


def _cause(number: int, finding: Finding, found: list[Finding], about: Workloads) -> int | None:
    """Which finding this one follows from. Only to a lower layer, or up in the same one: there is no circle."""
    own = _layer(finding, about)
    behind = about.selected.get(finding.object, {finding.object})
    if finding.object.startswith("horizontalpodautoscaler/"):
        behind = _scaled(finding, about)
    claims = about.claims(finding.object) if "volume claim is not bound" in finding.cause else set()
    for other, candidate in enumerate(found):
        if other == number:
            continue
        same = candidate.object in behind and _layer(candidate, about) < own
        kind, _, name = candidate.object.partition("/")
        volume = kind == "persistentvolumeclaim" and name in claims
        if same or volume:
            return other
    if finding.needs_bases:
        service = about.service(finding.object)
        for other, candidate in enumerate(found):
            base = about.component(candidate.object) in BASES and _layer(candidate, about) < own
            migration = (
                about.component(candidate.object) == MIGRATION
                and about.component(finding.object) != MIGRATION
                and about.service(candidate.object) == service
                and _layer(candidate, about) < own
            )
            if other != number and (base or migration):
                return other
    return None


def _layer(finding: Finding, about: Workloads) -> int:
    """What is lower may be the cause of what is higher."""
    kind = finding.object.partition("/")[0]
    if kind in ("node", "persistentvolumeclaim"):
        return 0
    part = about.component(finding.object)
    rank = 1 if part in BASES else 3 if part == MIGRATION else 5
    if kind in ("service", "poddisruptionbudget", "horizontalpodautoscaler"):
        return 8
    is_summary = (kind == "job" and "migration" in finding.problem) or "rollout is stuck" in finding.problem
    return rank + (1 if is_summary else 0)


def _scaled(finding: Finding, about: Workloads) -> set[str]:
    name = finding.object.partition("/")[2]
    if "metrics API; metrics-server" in finding.cause:
        return set()
    return {
        f"deployment/{scaler['spec']['scaleTargetRef']['name']}"
        for scaler in about.snapshot.autoscalers
        if name_of(scaler) == name
    }
