"""What the Kubernetes API says of one release: plain objects in its own shape, as `kubectl get -o json` gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Object = Mapping[str, Any]

INSTANCE = "app.kubernetes.io/instance"
MIGRATION = "migrate"
"""Component label of a migration's Job."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Objects of one release in one namespace. What could not be read is empty, and named in `unread`."""

    release: str
    namespace: str
    helm_status: str = ""
    """Of the newest revision, as Helm labels its Secret (deployed, failed, pending-upgrade); empty: not readable."""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    pods: tuple[Object, ...] = ()
    deployments: tuple[Object, ...] = ()
    replica_sets: tuple[Object, ...] = ()
    stateful_sets: tuple[Object, ...] = ()
    jobs: tuple[Object, ...] = ()
    autoscalers: tuple[Object, ...] = ()
    claims: tuple[Object, ...] = ()
    services: tuple[Object, ...] = ()
    endpoint_slices: tuple[Object, ...] = ()
    budgets: tuple[Object, ...] = ()
    events: tuple[Object, ...] = ()
    """Of the whole namespace: an event has no labels of what it is about."""
    nodes: tuple[Object, ...] = ()
    logs: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """Last lines of the last run, by pod and container, of those that crashed."""
    unread: tuple[str, ...] = ()

    def said_of(self, kind: str, name: str, *reasons: str) -> Iterator[str]:
        """Messages of the events about an object, newest first; only of these reasons, if any are given."""
        about = [
            event
            for event in self.events
            if event["involvedObject"].get("kind") == kind
            and event["involvedObject"].get("name") == name
            and (not reasons or event.get("reason") in reasons)
        ]
        yield from (event.get("message") or "" for event in sorted(about, key=_when, reverse=True))


def _when(event: Object) -> str:
    return str(
        (event.get("series") or {}).get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
        or ""
    )


def name_of(thing: Object) -> str:
    return str(thing["metadata"]["name"])


def labels_of(thing: Object) -> Mapping[str, str]:
    return thing["metadata"].get("labels") or {}


def condition(thing: Object, kind: str) -> Object:
    """A condition of an object's status; empty when it has none of this kind."""
    conditions = (thing.get("status") or {}).get("conditions") or []
    return next((found for found in conditions if found["type"] == kind), {})


def owner_of(thing: Object) -> tuple[str, str] | None:
    """Kind and name of the controller, if one made it."""
    for owner in thing["metadata"].get("ownerReferences") or []:
        if owner.get("controller"):
            return owner["kind"], owner["name"]
    return None


def claims_of(pod: Object) -> list[str]:
    """Names of the volume claims that a pod mounts."""
    volumes = pod["spec"].get("volumes") or []
    return [
        volume["persistentVolumeClaim"]["claimName"]
        for volume in volumes
        if "persistentVolumeClaim" in volume
    ]
