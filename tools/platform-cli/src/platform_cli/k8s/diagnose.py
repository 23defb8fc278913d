"""Why a release is not healthy: findings in words, from a snapshot. Pure; nothing here asks the cluster."""

from __future__ import annotations

from platform_cli.k8s import pod_rules, release_rules
from platform_cli.k8s.causes import grouped
from platform_cli.k8s.finding import Finding, Severity
from platform_cli.k8s.snapshot import Snapshot
from platform_cli.k8s.workloads import Workloads

RULES = (
    release_rules.helm,
    release_rules.nodes,
    release_rules.claims,
    pod_rules.pods,
    release_rules.refused_pods,
    release_rules.jobs,
    release_rules.rollouts,
    release_rules.services,
    release_rules.autoscalers,
    release_rules.budgets,
)
"""Each looks at one kind of object."""


def diagnose(snapshot: Snapshot) -> list[Finding]:
    """Everything that is wrong, worst first, consequences under their causes."""
    about = Workloads(snapshot)
    found = [finding for rule in RULES for finding in rule(about)]
    order = list(Severity)
    return sorted(grouped(found, about), key=lambda finding: order.index(finding.severity))
