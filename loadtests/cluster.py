"""The release in a Kubernetes cluster, by the official client: its doors, its secret, and what becomes of it."""

import base64
import json
import os
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException

from loadtests.sending import free_port
from platform_cli.audit.witnesses import Endpoints

POLL_S = 2.0
OURS = "app.kubernetes.io/part-of=payment-platform"


class NoCluster(RuntimeError):
    """There is no cluster with a release of the platform in it."""


@dataclass(frozen=True)
class Cluster:
    """One release."""

    context: str
    namespace: str
    release: str

    @classmethod
    def current(cls) -> "Cluster":
        """The release of the current context (or of the pod that this runs in). Raises NoCluster."""
        try:
            _, active = config.list_kube_config_contexts()  # type: ignore[no-untyped-call]
            config.load_kube_config()  # type: ignore[no-untyped-call]
            name, namespace = active["name"], active["context"].get("namespace", "default")
        except (ConfigException, TypeError) as error:
            raise NoCluster(f"no Kubernetes context: {error}") from error
        try:
            services: Any = client.CoreV1Api().list_namespaced_service(
                namespace, label_selector=f"{OURS},app.kubernetes.io/name=payment-gateway", _request_timeout=5
            )
        except Exception as error:  # urllib3's and the client's own: the cluster does not answer
            raise NoCluster(
                f"the cluster of context {name} does not answer: {type(error).__name__}"
            ) from error
        if not services.items:
            raise NoCluster(f"no release of the platform in namespace {namespace} of context {name}")
        release = services.items[0].metadata.labels["app.kubernetes.io/instance"]
        return cls(name, namespace, release)

    @contextmanager
    def doors(self, say: Callable[[str], None]) -> Iterator[Endpoints]:
        """Where gateway, pipeline and channels can be asked from here, while the context is open."""
        secret = self._secret()
        with ExitStack() as stack:

            def door(component: str, label: str, port: int, node_port: int) -> str | None:
                return stack.enter_context(self._door(component, label, port, node_port, say))

            gateway = door("payment-gateway", "api", 8000, 8080)
            if gateway is None:
                raise NoCluster(
                    "the gateway can be reached neither by its NodePort nor by kubectl port-forward"
                )
            yield Endpoints(
                gateway_url=gateway,
                pipeline_url=door("data-pipeline", "api", 8002, 8081),
                channels_url=door("channels", "channels", 8003, 0),
                internal_token=secret.get("internal_token"),
                admin_api_key=secret.get("admin_api_key"),
            )

    def _secret(self) -> dict[str, str]:
        try:
            data: Any = (
                client.CoreV1Api().read_namespaced_secret(f"{self.release}-credentials", self.namespace).data
            )
        except ApiException:
            return {}
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    @contextmanager
    def _door(
        self, name: str, component: str, port: int, mapped: int, say: Callable[[str], None]
    ) -> Iterator[str | None]:
        """kind-config.yaml's port on loopback if the platform answers there, else a port-forward to the Service."""
        mapped = _mapped_port(name, mapped)
        if mapped and _answers(f"http://127.0.0.1:{mapped}"):
            yield f"http://127.0.0.1:{mapped}"
            return
        kubectl = shutil.which("kubectl")
        if kubectl is None:
            say(f"{name}: no kubectl for a port-forward; it is not asked")
            yield None
            return
        local = free_port()
        command = [kubectl, "--context", self.context, "--namespace", self.namespace, "port-forward"]
        forward = subprocess.Popen(
            [*command, f"service/{self.release}-{name}", f"{local}:{port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            url = f"http://127.0.0.1:{local}"
            deadline = time.monotonic() + 15
            while not (is_up := _answers(url)) and time.monotonic() < deadline and forward.poll() is None:
                time.sleep(0.2)
            yield url if is_up else None
        finally:
            forward.terminate()
            forward.wait(10)

    def watch(self, file: Path) -> "Timeline":
        """Begin to note what happens, until `end`."""
        timeline = Timeline(self, file)
        timeline.start()
        return timeline

    def kill(self, victim: str) -> str:
        """Delete a pod of that process by force, as if its node had lost it. Returns the pod's name."""
        name, _, component = victim.partition("-")
        charts = {
            "gateway": "payment-gateway",
            "risk": "risk-engine",
            "redis": "redis",
            "postgres": "postgres",
        }
        selector = f"app.kubernetes.io/instance={self.release},app.kubernetes.io/name={charts[name]}"
        if component:
            selector += f",app.kubernetes.io/component={component}"
        core: Any = client.CoreV1Api()
        pods = core.list_namespaced_pod(self.namespace, label_selector=selector).items
        if not pods:
            raise NoCluster(f"there is no pod of {victim}")
        pod = pods[0].metadata.name
        core.delete_namespaced_pod(pod, self.namespace, grace_period_seconds=0)
        return str(pod)


def _mapped_port(name: str, default: int) -> int:
    variable = {"payment-gateway": "KIND_GATEWAY_PORT", "data-pipeline": "KIND_CONSOLE_PORT"}.get(name)
    return int(os.environ.get(variable, default)) if variable else default


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health/ready", timeout=2):  # noqa: S310 - loopback
            return True
    except urllib.error.HTTPError:
        return True  # it is there, though it may not be ready
    except OSError:
        return False


class Timeline(threading.Thread):
    """Looks every two seconds: replicas, CPU as the autoscaler sees it, what happened to pods."""

    def __init__(self, cluster: Cluster, file: Path) -> None:
        super().__init__(daemon=True, name="timeline")
        self._cluster, self._file = cluster, file.open("a", encoding="utf-8", buffering=1)
        self._ended = threading.Event()
        self._seen: set[tuple[str, int]] = set()
        self._since = time.time()
        self._core, self._apps = client.CoreV1Api(), client.AppsV1Api()
        self._autoscaling = client.AutoscalingV2Api()

    def run(self) -> None:
        while True:
            try:
                self._look()
            except Exception as error:  # a timeline with a gap is better than none
                self._write({"error": f"{type(error).__name__}: {error}"})
            if self._ended.wait(POLL_S):
                return

    def end(self) -> None:
        self._ended.set()
        self.join(10)
        self._file.close()

    def _look(self) -> None:
        mine: dict[str, Any] = {
            "namespace": self._cluster.namespace,
            "label_selector": f"app.kubernetes.io/instance={self._cluster.release}",
        }
        hpa: Any
        deployment: Any
        for hpa in self._autoscaling.list_namespaced_horizontal_pod_autoscaler(
            **mine, _request_timeout=5
        ).items:
            status = hpa.status
            self._write(
                {
                    "hpa": hpa.metadata.name,
                    "current": status.current_replicas or 0,
                    "desired": status.desired_replicas or 0,
                    "max": hpa.spec.max_replicas,
                    "cpu_percent": _utilization(status.current_metrics, "cpu"),
                }
            )
        for deployment in self._apps.list_namespaced_deployment(**mine, _request_timeout=5).items:
            self._write(
                {"deployment": deployment.metadata.name, "ready": deployment.status.ready_replicas or 0}
            )
        for event in self._core.list_namespaced_event(self._cluster.namespace, _request_timeout=5).items:
            self._note(event)

    def _note(self, event: Any) -> None:
        at = event.last_timestamp or event.event_time or event.metadata.creation_timestamp
        key = (event.metadata.uid, event.count or 1)
        if key in self._seen or at is None or at.timestamp() < self._since - 1:
            return
        self._seen.add(key)
        self._write(
            {
                "event": event.reason,
                "kind": event.involved_object.kind,
                "object": event.involved_object.name,
                "message": (event.message or "")[:200],
                "type": event.type,
            },
            at.timestamp(),
        )

    def _write(self, line: dict[str, Any], at: float | None = None) -> None:
        self._file.write(json.dumps({"at": round(at or time.time(), 3), **line}) + "\n")


def _utilization(metrics: Any, resource: str) -> int | None:
    for metric in metrics or ():
        if metric.type == "Resource" and metric.resource.name == resource:
            return metric.resource.current.average_utilization  # type: ignore[no-any-return]
    return None
