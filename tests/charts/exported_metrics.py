"""What the code exports, found by importing it: metric names with their labels."""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import cache

PACKAGES = ("platform_kit", "payment_gateway", "risk_engine", "data_pipeline")
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
FROM_KUBERNETES = {
    "kube_cronjob_status_last_successful_time": {"namespace", "cronjob"},
    "kube_cronjob_created": {"namespace", "cronjob"},
    "kube_horizontalpodautoscaler_status_current_replicas": {"namespace", "horizontalpodautoscaler"},
    "kube_horizontalpodautoscaler_spec_max_replicas": {"namespace", "horizontalpodautoscaler"},
    "kube_deployment_status_replicas_ready": {"namespace", "deployment"},
    "kube_pod_container_status_restarts_total": {"namespace", "pod", "container"},
    "container_memory_working_set_bytes": {"namespace", "pod", "container"},
    "container_cpu_usage_seconds_total": {"namespace", "pod", "container"},
}
"""Of kube-state-metrics and the kubelet."""
GIVEN_BY_THE_SCRAPE = {"namespace", "job", "pod", "service", "instance", "le", "slo"}
WORDS = re.compile(r"\b[a-z_][a-z0-9_]*\b")


@cache
def exported() -> dict[str, set[str]]:
    """Sample name to labels, of every metric that our code declares."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if ".migrations" not in module.name and not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    from prometheus_client import REGISTRY

    found: dict[str, set[str]] = {}
    for collector in REGISTRY._collector_to_names:
        labels = set(getattr(collector, "_labelnames", ()))
        for family in getattr(collector, "describe", list)():
            for suffix in SUFFIXES.get(family.type, ()):
                found[family.name + suffix] = labels
    return found


def problems(query: str) -> list[str]:
    """What a query names that nobody exports: metrics, and labels that their metric does not have."""
    known = exported() | FROM_KUBERNETES
    wrong = []
    for name, matchers in re.findall(
        r"\b([a-z][a-z0-9_:]*)\s*(?:\{([^}]*)\})?(?=\s*(?:\[|\)|>|<|=|$|or\b|\*|\+|-))", query
    ):
        if name.startswith("slo:") or not (name in known or "_" in name):
            continue
        if name not in known:
            wrong.append(name)
            continue
        labels = set(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", matchers))
        wrong += [f"{name}{{{label}}}" for label in labels - known[name] - GIVEN_BY_THE_SCRAPE]
    return wrong
