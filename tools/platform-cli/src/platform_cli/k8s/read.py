"""Reads a release from the cluster of a kubeconfig context; changes nothing.

The charts' viewer Role is enough: what it may not list (Helm's Secrets, the nodes, other namespaces) is noted.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import urllib3
from kubernetes import client, config

from platform_cli.k8s.snapshot import INSTANCE, Object, Snapshot, claims_of, labels_of, name_of

TIMEOUT_S = (5, 20)  # to connect, to answer
LAST_LINES = 5
METADATA_ONLY = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
List = Callable[..., Any]


class CannotAsk(Exception):
    """No cluster, no such release, or too few rights to say anything; the text says which and what to do."""


@dataclass
class Reader:
    """One cluster, asked as whom the kubeconfig names."""

    api: Any
    unread: list[str] = field(default_factory=list)

    @classmethod
    def of_context(cls, context: str | None) -> Reader:
        """By KUBECONFIG or ~/.kube/config, as kubectl. Raises CannotAsk."""
        try:
            api = config.new_client_from_config(context=context)  # type: ignore[no-untyped-call]
        except config.ConfigException as error:
            raise CannotAsk(
                f"No cluster to ask: {error}\n"
                "`make kind-up` makes one; `kubectl config get-contexts` shows those there are."
            ) from error
        api.configuration.retries = False
        return cls(client.ApiClient(api.configuration))

    def read(self, release: str, namespace: str) -> Snapshot:
        """Everything that a diagnosis looks at. Raises CannotAsk."""
        core, apps = client.CoreV1Api(self.api), client.AppsV1Api(self.api)
        mine = {"namespace": namespace, "label_selector": f"{INSTANCE}={release}"}
        deployments = self._list("deployments", apps.list_namespaced_deployment, **mine)
        pods = self._list("pods", core.list_namespaced_pod, **mine)
        if {"deployments", "pods"} <= {note.partition(":")[0] for note in self.unread}:
            raise CannotAsk(
                f"Too few rights in the namespace {namespace}:\n  "
                + "\n  ".join(self.unread)
                + f"\nThe Role {release}-viewer is enough (docs/kubernetes/rbac.md)."
            )
        stateful_sets = self._list("statefulsets", apps.list_namespaced_stateful_set, **mine)
        helm = self._helm_status(core, release, namespace)
        if not (helm or deployments or stateful_sets):
            raise CannotAsk(self._nothing_here(core, apps, release, namespace))
        crashed = [
            (name_of(pod), entry["name"], bool((entry.get("lastState") or {}).get("terminated")))
            for pod in pods
            for entry in (pod.get("status") or {}).get("containerStatuses") or []
            if not entry.get("ready") and (pod.get("status") or {}).get("phase") != "Succeeded"
            if (entry.get("lastState") or {}).get("terminated")
            or (entry.get("state") or {}).get("terminated")
        ]
        return Snapshot(
            release,
            namespace,
            helm,
            pods=pods,
            deployments=deployments,
            stateful_sets=stateful_sets,
            replica_sets=self._list("replicasets", apps.list_namespaced_replica_set, **mine),
            jobs=self._list("jobs", client.BatchV1Api(self.api).list_namespaced_job, **mine),
            autoscalers=self._list(
                "horizontalpodautoscalers",
                client.AutoscalingV2Api(self.api).list_namespaced_horizontal_pod_autoscaler,
                **mine,
            ),
            claims=self._claims(core, mine, pods),
            services=self._list("services", core.list_namespaced_service, **mine),
            endpoint_slices=self._list(
                "endpointslices", client.DiscoveryV1Api(self.api).list_namespaced_endpoint_slice, **mine
            ),
            budgets=self._list(
                "poddisruptionbudgets",
                client.PolicyV1Api(self.api).list_namespaced_pod_disruption_budget,
                **mine,
            ),
            events=self._list("events", core.list_namespaced_event, namespace=namespace),
            nodes=self._list("nodes", core.list_node),
            logs={
                (pod, container): lines
                for pod, container, was in crashed
                if (lines := self._last_lines(core, namespace, pod, container, previous=was))
            },
            unread=tuple(self.unread),
        )

    def _list(self, what: str, ask: List, **where: Any) -> tuple[Object, ...]:
        """The items in the API's own shape. What may not be listed is noted. Raises CannotAsk when nobody answers."""
        try:
            answer = ask(**where, _preload_content=False, _request_timeout=TIMEOUT_S)
        except client.ApiException as refusal:
            if refusal.status == 401:
                raise CannotAsk(
                    "The cluster does not know you (401): the credentials of this context have expired or are wrong."
                ) from refusal
            self.unread.append(f"{what}: {'not allowed' if refusal.status == 403 else refusal.reason}")
            return ()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            host = self.api.configuration.host
            raise CannotAsk(
                f"No answer from the cluster at {host}: {_shortly(error)}\n"
                "Is it running? `kind get clusters` lists kind's; `kubectl config current-context` says which is asked."
            ) from error
        return tuple(json.loads(answer.data)["items"] or ())  # a list of nothing may be null

    def _claims(self, core: Any, mine: dict[str, Any], pods: tuple[Object, ...]) -> tuple[Object, ...]:
        """Those that its pods mount."""
        mounted = {claim for pod in pods for claim in claims_of(pod)}
        everyone = self._list(
            "persistentvolumeclaims",
            core.list_namespaced_persistent_volume_claim,
            namespace=mine["namespace"],
        )
        return tuple(claim for claim in everyone if name_of(claim) in mounted)

    def _helm_status(self, core: Any, release: str, namespace: str) -> str:
        """By the labels of Helm's Secrets alone: their content holds every value of the release."""
        revisions = self._list(
            "secrets (Helm's own record)",
            core.list_namespaced_secret,
            namespace=namespace,
            label_selector=f"owner=helm,name={release}",
            _headers=METADATA_ONLY,
        )
        newest = max(revisions, key=lambda found: int(labels_of(found).get("version", 0)), default=None)
        return labels_of(newest).get("status", "") if newest else ""

    def _nothing_here(self, core: Any, apps: Any, release: str, namespace: str) -> str:
        selector = f"{INSTANCE}={release}"
        elsewhere = self._list(
            "deployments elsewhere", apps.list_deployment_for_all_namespaces, label_selector=selector
        )
        here = self._list("deployments here", apps.list_namespaced_deployment, namespace=namespace)
        spaces = self._list("namespaces", core.list_namespace)
        found = sorted({thing["metadata"]["namespace"] for thing in elsewhere})
        others = sorted({labels_of(thing).get(INSTANCE, "") for thing in here} - {""})
        if spaces and namespace not in {name_of(space) for space in spaces}:
            start = f"There is no namespace {namespace}."
        else:
            start = f"There is no release {release} in the namespace {namespace}."
        if found:
            command = f"platform k8s doctor --release {release} --namespace {found[0]}"
            return f"{start}\nIt is in {', '.join(found)}: {command}"
        if others:
            return f"{start}\nReleases in it: {', '.join(others)}"
        return (
            f"{start}\n`helm list --all-namespaces` shows those there are;"
            f" `helm install {release} ./umbrella-chart` makes it."
        )

    def _last_lines(
        self, core: Any, namespace: str, pod: str, container: str, *, previous: bool
    ) -> tuple[str, ...]:
        try:
            answer = core.read_namespaced_pod_log(
                pod,
                namespace,
                container=container,
                previous=previous,
                tail_lines=LAST_LINES,
                _preload_content=False,
                _request_timeout=TIMEOUT_S,
            )
        except client.ApiException as refusal:
            if refusal.status == 403:
                self.unread.append(f"log of {pod}: not allowed")
            return ()  # gone with its container
        lines = answer.data.decode(errors="replace").splitlines()
        return tuple(line.strip()[:300] for line in lines if line.strip())


def _shortly(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return str(reason).rpartition(">: ")[2] or type(error).__name__
