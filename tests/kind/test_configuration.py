"""How a changed setting reaches the processes. Level: cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kind.conftest import Cluster

pytestmark = [pytest.mark.kind, pytest.mark.timeout(420)]


def pods(cluster: Cluster) -> dict[str, set[str]]:
    """Names of the pods, by service."""
    found: dict[str, set[str]] = {}
    for pod in cluster.pods():
        found.setdefault(pod.metadata.labels["app.kubernetes.io/name"], set()).add(pod.metadata.name)
    return found


@pytest.mark.proof("configuration", "a changed setting rolls the pods of its own service, and reaches them")
def test_a_changed_setting_rolls_its_own_service_only(release: Cluster) -> None:
    before = pods(release)
    upgrade = ("helm", "upgrade", "platform", "./umbrella-chart", "--reset-then-reuse-values", "--wait")
    release.run(*upgrade, "--set", "risk-engine.config.LOG_LEVEL=WARNING")
    release.settle()
    after = pods(release)
    # New pods only: an autoscaler may still be taking away what a test before has made it add.
    assert {service for service in before if after[service] - before[service]} == {"risk-engine"}
    assert not before["risk-engine"] & after["risk-engine"]
    pod = next(iter(after["risk-engine"]))
    assert release.run("kubectl", "exec", pod, "--", "printenv", "LOG_LEVEL").strip() == "WARNING"
    release.run("helm", "rollback", "platform", "--wait", "--timeout", "4m")
    release.settle()


@pytest.mark.proof("configuration", "an upgrade that changes nothing restarts nothing")
def test_an_upgrade_that_changes_nothing_restarts_nothing(release: Cluster) -> None:
    before = pods(release)
    release.run("helm", "upgrade", "platform", "./umbrella-chart", "--reset-then-reuse-values", "--wait")
    release.settle()
    assert all(names <= before[service] for service, names in pods(release).items())
