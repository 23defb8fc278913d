"""Who made which pod, and who stands before it: by what findings are told, and grouped."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from platform_cli.k8s.snapshot import Object, Snapshot, claims_of, labels_of, name_of, owner_of


class Workloads:
    """The workloads of one snapshot, named as kubectl takes them: `deployment/platform-risk-engine-api`."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.kubectl = f"kubectl -n {snapshot.namespace}"

    @cached_property
    def _deployment_of(self) -> dict[str, str]:
        owners = ((name_of(thing), owner_of(thing)) for thing in self.snapshot.replica_sets)
        return {name: owner[1] for name, owner in owners if owner and owner[0] == "Deployment"}

    def workload(self, thing: Object) -> str:
        """What made a pod or a ReplicaSet, as kubectl takes it; a pod that nobody made is itself."""
        owner = owner_of(thing)
        if owner is None:
            return f"pod/{name_of(thing)}"
        kind, name = owner
        if kind == "ReplicaSet":
            # A viewer of old may not list ReplicaSets: their names are the Deployment's and a hash.
            return f"deployment/{self._deployment_of.get(name, name.rpartition('-')[0])}"
        return f"{kind.lower()}/{name}"

    @cached_property
    def _labels(self) -> dict[str, Mapping[str, str]]:
        kinds = (
            ("deployment", self.snapshot.deployments),
            ("statefulset", self.snapshot.stateful_sets),
            ("job", self.snapshot.jobs),
        )
        return {f"{kind}/{name_of(thing)}": labels_of(thing) for kind, things in kinds for thing in things}

    def component(self, workload: str) -> str:
        """Its component label (api, relay, postgres); "" of what is no workload."""
        return self._labels.get(workload, {}).get("app.kubernetes.io/component", "")

    def service(self, workload: str) -> str | None:
        """Its name label (payment-gateway, postgres)."""
        return self._labels.get(workload, {}).get("app.kubernetes.io/name")

    @cached_property
    def selected(self) -> dict[str, set[str]]:
        """Workloads behind each Service and budget, by the labels of their pod templates."""
        behind: dict[str, set[str]] = {}
        workloads = [
            (f"{kind}/{name_of(thing)}", thing["spec"]["template"]["metadata"].get("labels") or {})
            for kind, things in (
                ("deployment", self.snapshot.deployments),
                ("statefulset", self.snapshot.stateful_sets),
            )
            for thing in things
        ]
        selectors = [
            (f"service/{name_of(thing)}", thing["spec"].get("selector") or {})
            for thing in self.snapshot.services
        ] + [
            (f"poddisruptionbudget/{name_of(thing)}", thing["spec"]["selector"].get("matchLabels") or {})
            for thing in self.snapshot.budgets
        ]
        for asker, selector in selectors:
            behind[asker] = {
                workload for workload, labels in workloads if selector and selector.items() <= labels.items()
            }
        return behind

    def claims(self, workload: str) -> set[str]:
        """Names of the volume claims that a workload's pods mount."""
        return {
            claim for pod in self.snapshot.pods if self.workload(pod) == workload for claim in claims_of(pod)
        }
