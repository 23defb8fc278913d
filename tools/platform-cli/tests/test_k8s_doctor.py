"""The doctor's rules over objects as the API server gives them. Level: pure; tests/kind/test_doctor.py asks one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from kubernetes import client

from platform_cli.k8s.diagnose import diagnose
from platform_cli.k8s.finding import Finding, Severity
from platform_cli.k8s.read import CannotAsk, Reader
from platform_cli.k8s.snapshot import Snapshot

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
LONG_AGO = (NOW - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
JUST_NOW = (NOW - timedelta(seconds=20)).isoformat().replace("+00:00", "Z")

Thing = dict[str, Any]


def labels(name: str, component: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/instance": "platform",
        "app.kubernetes.io/component": component,
    }


API, POSTGRES, MIGRATE = (
    labels("risk-engine", "api"),
    labels("postgres", "postgres"),
    labels("risk-engine", "migrate"),
)


def workload(name: str, of: dict[str, str], **status: Any) -> Thing:
    return {
        "metadata": {"name": name, "labels": of},
        "spec": {"replicas": 1, "template": {"metadata": {"labels": of}}},
        "status": {"replicas": 1, **status},
    }


def owned(kind: str, name: str) -> list[Thing]:
    return [{"apiVersion": "apps/v1", "kind": kind, "name": name, "controller": True}]


def pod(
    of: dict[str, str] = API,
    owner: tuple[str, str] = ("ReplicaSet", "platform-risk-engine-api-5c7"),
    name: str = "platform-risk-engine-api-5c7-abc",
    *,
    container: Thing | None = None,
    ready: bool = False,
    scheduled: str = "True",
    message: str = "",
    since: str = LONG_AGO,
    phase: str = "Running",
    image: str = "risk-engine:v1",
    claim: str | None = None,
) -> Thing:
    conditions = [
        {"type": "PodScheduled", "status": scheduled, "reason": "Unschedulable", "message": message},
        {"type": "Ready", "status": str(ready)},
    ]
    volumes: list[Thing] = [{"name": "secrets", "secret": {"secretName": "platform-credentials"}}]
    if claim:
        volumes.append({"name": "data", "persistentVolumeClaim": {"claimName": claim}})
    return {
        "metadata": {"name": name, "labels": of, "ownerReferences": owned(*owner)},
        "spec": {
            "containers": [
                {
                    "name": "api",
                    "image": image,
                    "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "256Mi"}},
                    "readinessProbe": {"httpGet": {"path": "/health/ready", "port": "http"}},
                }
            ],
            "volumes": volumes,
        },
        "status": {
            "phase": phase,
            "startTime": since,
            "conditions": conditions,
            "containerStatuses": [{"name": "api", "ready": ready, "restartCount": 0, **(container or {})}]
            if scheduled == "True"
            else [],
        },
    }


def postgres_pod(**more: Any) -> Thing:
    return pod(
        POSTGRES, ("StatefulSet", "platform-postgres"), "platform-postgres-0", image="postgres:18", **more
    )


def event(kind: str, name: str, reason: str, message: str, at: str = LONG_AGO) -> Thing:
    return {
        "metadata": {"name": f"{name}.1", "creationTimestamp": at},
        "involvedObject": {"kind": kind, "name": name},
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
    }


def service(name: str, of: dict[str, str]) -> Thing:
    return {"metadata": {"name": name, "labels": of}, "spec": {"selector": of}}


def endpoints(name: str, *ready: bool) -> Thing:
    return {
        "metadata": {"name": f"{name}-x", "labels": {"kubernetes.io/service-name": name}},
        "endpoints": [{"conditions": {"ready": each}} for each in ready] or None,
    }


WELL = Snapshot(
    "platform",
    "default",
    "deployed",
    at=NOW,
    pods=(pod(ready=True), postgres_pod(ready=True)),
    deployments=(workload("platform-risk-engine-api", API),),
    replica_sets=(
        {
            **workload("platform-risk-engine-api-5c7", API),
            "metadata": {
                "name": "platform-risk-engine-api-5c7",
                "labels": API,
                "ownerReferences": owned("Deployment", "platform-risk-engine-api"),
            },
        },
    ),
    stateful_sets=(workload("platform-postgres", POSTGRES),),
    jobs=(workload("platform-risk-engine-migrate-1a", MIGRATE, succeeded=1),),
    services=(service("platform-risk-engine", API), service("platform-postgres", POSTGRES)),
    endpoint_slices=(endpoints("platform-risk-engine", True), endpoints("platform-postgres", True)),
)
DEPLOYMENT = "deployment/platform-risk-engine-api"


def only(snapshot: Snapshot) -> Finding:
    found = diagnose(snapshot)
    assert len(found) == 1, found
    return found[0]


def ill(**container: Any) -> Snapshot:
    return replace(WELL, pods=(pod(container=container), postgres_pod(ready=True)))


def waiting(reason: str, message: str = "") -> Thing:
    return {"waiting": {"reason": reason, "message": message}}


def says(finding: Finding, *words: str) -> None:
    text = " ".join((finding.problem, finding.cause, finding.command))
    assert [word for word in words if word not in text] == [], text


def test_nothing_is_wrong_with_a_release_that_is_well() -> None:
    assert diagnose(WELL) == []


def test_an_image_of_ours_is_to_be_loaded() -> None:
    finding = only(ill(state=waiting("ImagePullBackOff", 'Back-off pulling image "risk-engine:v1"')))
    assert (finding.object, finding.severity) == (DEPLOYMENT, Severity.CRITICAL)
    says(finding, "risk-engine:v1", "cannot be pulled", "make kind-load VERSION=v1")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("401 Unauthorized", ("refuses the credentials", "serviceaccount")),
        (
            "manifest unknown: not found",
            ("tag does not exist", "docker manifest inspect registry.example/x:1"),
        ),
    ],
)
def test_an_image_of_somebody_else_is_a_matter_of_its_registry(said: str, words: tuple[str, ...]) -> None:
    broken = pod(container={"state": waiting("ErrImagePull", said)}, image="registry.example/x:1")
    says(only(replace(WELL, pods=(broken,))), *words)


def test_a_crash_shows_its_exit_code_and_last_words() -> None:
    last = {"terminated": {"exitCode": 1, "reason": "Error"}}
    broken = replace(
        ill(state=waiting("CrashLoopBackOff"), lastState=last, restartCount=6),
        logs={("platform-risk-engine-api-5c7-abc", "api"): ("KeyError: 'coffee'",)},
    )
    says(only(broken), "exit code 1", "6 restarts", "KeyError: 'coffee'", "-c api --previous")


def test_want_of_memory_names_the_limit() -> None:
    last = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    broken = ill(state=waiting("CrashLoopBackOff"), lastState=last, restartCount=4)
    says(only(broken), "OOMKilled", "137", "256Mi", "limits.memory")


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            "0/1 nodes are available: 1 Insufficient cpu.",
            ("enough cpu left", "cpu 100m", "resources.requests.cpu"),
        ),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: batch}.",
            ("taint", "dedicated: batch"),
        ),
        ("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.", ("node selector",)),
        (
            "0/3 nodes are available: 3 node(s) didn't match pod topology spread constraints.",
            ("spread over nodes",),
        ),
    ],
)
def test_a_pod_without_a_node_says_what_no_node_has(message: str, words: tuple[str, ...]) -> None:
    broken = pod(scheduled="False", phase="Pending", message=message)
    says(only(replace(WELL, pods=(broken, postgres_pod(ready=True)))), "cannot be scheduled", *words)


def test_a_probe_that_fails_is_told_with_its_door_and_its_answer() -> None:
    probe = event(
        "Pod",
        "platform-risk-engine-api-5c7-abc",
        "Unhealthy",
        "Readiness probe failed: HTTP probe failed with statuscode: 503",
    )
    broken = replace(ill(state={"running": {}}), events=(probe,))
    assert only(broken).severity is Severity.CRITICAL
    says(only(broken), "readiness probe (/health/ready on http)", "statuscode: 503", "logs")


def test_a_young_pod_is_starting_and_that_is_no_illness() -> None:
    finding = only(replace(WELL, pods=(pod(container={"state": {"running": {}}}, since=JUST_NOW),)))
    assert finding.severity is Severity.WARNING
    says(finding, "not ready yet")


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ('secret "gone" not found', ("no Secret gone", "get secret gone")),
        ('configmap "gone" not found', ("no ConfigMap gone",)),
        (
            "couldn't find key LEVEL in ConfigMap default/platform-risk-engine",
            ("ConfigMap platform-risk-engine has no key LEVEL",),
        ),
    ],
)
def test_what_a_container_lacks_is_named(message: str, words: tuple[str, ...]) -> None:
    says(only(ill(state=waiting("CreateContainerConfigError", message))), "cannot be created", *words)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            'MountVolume.SetUp failed for volume "secrets" : secret "platform-credentials" not found',
            ("Secret platform-credentials", "does not exist"),
        ),
        (
            'MountVolume.SetUp failed for volume "secrets" : references non-existent secret key: redis_password',
            ("Secret platform-credentials", "no key redis_password"),
        ),
    ],
)
def test_what_a_volume_lacks_is_named(said: str, words: tuple[str, ...]) -> None:
    waits = pod(container={"state": waiting("ContainerCreating")}, phase="Pending")
    mount = event("Pod", "platform-risk-engine-api-5c7-abc", "FailedMount", said)
    says(only(replace(WELL, pods=(waits, postgres_pod(ready=True)), events=(mount,))), *words)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            'pods "x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=5, limited: pods=5',
            ("quota", "used: pods=5", "resourcequota"),
        ),
        (
            'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
            ("Pod Security", "runAsNonRoot", "--show-labels"),
        ),
    ],
)
def test_pods_that_may_not_be_made_are_told_by_events(said: str, words: tuple[str, ...]) -> None:
    short = {**WELL.replica_sets[0], "status": {"replicas": 0}}
    broken = replace(
        WELL,
        pods=(postgres_pod(ready=True),),
        replica_sets=(short,),
        events=(event("ReplicaSet", "platform-risk-engine-api-5c7", "FailedCreate", said),),
    )
    assert only(broken).object == DEPLOYMENT
    says(only(broken), *words)
    # An old refusal of a ReplicaSet that has all its pods by now is no finding.
    assert diagnose(replace(broken, pods=WELL.pods, replica_sets=WELL.replica_sets)) == []


def test_a_failed_migration_explains_the_processes_that_wait_for_it() -> None:
    job = workload("platform-risk-engine-migrate-1a", MIGRATE)
    job["status"]["conditions"] = [
        {
            "type": "Failed",
            "status": "True",
            "reason": "BackoffLimitExceeded",
            "message": "Job has reached it",
        }
    ]
    finding = only(replace(ill(state={"running": {}}), jobs=(job,)))
    assert finding.object == "job/platform-risk-engine-migrate-1a"
    assert [below.object for below in finding.leads_to] == [DEPLOYMENT]
    says(finding, "migration failed", "BackoffLimitExceeded", "logs job/")


def test_a_migration_that_still_runs_is_a_warning_with_the_pods_that_wait() -> None:
    young = pod(container={"state": {"running": {}}}, since=JUST_NOW)
    running = workload("platform-risk-engine-migrate-1a", MIGRATE, active=1)
    finding = only(replace(WELL, pods=(young,), jobs=(running,)))
    assert (finding.severity, len(finding.leads_to)) == (Severity.WARNING, 1)


def test_one_postgres_explains_what_waits_for_it() -> None:
    message = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    broken = replace(
        WELL,
        pods=(
            postgres_pod(
                scheduled="False", message=message, phase="Pending", claim="data-platform-postgres-0"
            ),
            pod(container={"state": {"running": {}}}),
        ),
        claims=(
            {
                "metadata": {"name": "data-platform-postgres-0"},
                "spec": {"storageClassName": "fast"},
                "status": {"phase": "Pending"},
            },
        ),
        events=(
            event(
                "PersistentVolumeClaim",
                "data-platform-postgres-0",
                "ProvisioningFailed",
                'storageclass.storage.k8s.io "fast" not found',
            ),
        ),
        endpoint_slices=(endpoints("platform-risk-engine", False), endpoints("platform-postgres")),
    )
    finding = only(broken)
    assert finding.object == "persistentvolumeclaim/data-platform-postgres-0"
    says(finding, "no storage class fast", "get storageclass")
    assert [below.object for below in finding.leads_to] == ["statefulset/platform-postgres"]
    assert {below.object for below in finding.leads_to[0].leads_to} == {
        DEPLOYMENT,
        "service/platform-postgres",
    }


def test_a_claim_that_waits_for_its_pod_is_no_cause() -> None:
    claim: Thing = {"metadata": {"name": "c"}, "spec": {}, "status": {"phase": "Pending"}}
    said = event(
        "PersistentVolumeClaim", "c", "WaitForFirstConsumer", "waiting for first consumer to be created"
    )
    assert diagnose(replace(WELL, claims=(claim,), events=(said,))) == []
    says(only(replace(WELL, claims=(claim,))), "no default one")


def test_a_stuck_rollout_follows_from_the_pod_that_cannot_start() -> None:
    stuck = workload("platform-risk-engine-api", API, availableReplicas=1)
    stuck["status"]["conditions"] = [
        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": ""}
    ]
    says(only(replace(WELL, deployments=(stuck,))), "deadline", "helm rollback platform -n default")
    both = replace(ill(state=waiting("ImagePullBackOff")), deployments=(stuck,))
    assert [below.problem[:20] for below in only(both).leads_to] == ["The rollout is stuck"]


def test_a_service_without_endpoints_says_whom_it_asks() -> None:
    gone = replace(WELL, endpoint_slices=(endpoints("platform-postgres", True),))
    says(only(gone), "no endpoints", "none of them is ready", "app.kubernetes.io/component=api")
    stray = replace(
        WELL, services=(*WELL.services, service("platform-stray", {"app.kubernetes.io/name": "nobody"}))
    )
    says(only(stray), "fits no workload")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API:"
            " the server could not find the requested resource (get pods.metrics.k8s.io)",
            ("metrics-server is missing", "v1beta1.metrics.k8s.io"),
        ),
        ("did not receive metrics for targeted pods", ("FailedGetResourceMetric", "did not receive")),
    ],
)
def test_an_autoscaler_without_metrics_says_why(said: str, words: tuple[str, ...]) -> None:
    blind: Thing = {
        "metadata": {"name": "platform-risk-engine-api"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "platform-risk-engine-api"}},
        "status": {
            "conditions": [
                {
                    "type": "ScalingActive",
                    "status": "False",
                    "reason": "FailedGetResourceMetric",
                    "message": said,
                }
            ]
        },
    }
    finding = only(replace(WELL, autoscalers=(blind,)))
    assert finding.severity is Severity.WARNING
    says(finding, *words)


@pytest.mark.parametrize(
    ("desired", "healthy", "words"),
    [(2, 2, "no eviction can ever be allowed"), (1, 1, "a drain waits until they are")],
)
def test_a_budget_that_allows_nothing_says_whether_it_ever_will(
    desired: int, healthy: int, words: str
) -> None:
    budget: Thing = {
        "metadata": {"name": "platform-risk-engine-api"},
        "spec": {"selector": {"matchLabels": API}},
        "status": {
            "expectedPods": 2,
            "desiredHealthy": desired,
            "currentHealthy": healthy,
            "disruptionsAllowed": 0,
        },
    }
    says(only(replace(WELL, budgets=(budget,))), words)
    budget["status"]["disruptionsAllowed"] = 1
    assert diagnose(replace(WELL, budgets=(budget,))) == []


def test_nodes_and_helm_are_heard_too() -> None:
    node: Thing = {
        "metadata": {"name": "n1"},
        "status": {
            "conditions": [
                {"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."},
                {"type": "DiskPressure", "status": "True", "message": "disk"},
            ]
        },
    }
    found = diagnose(replace(WELL, nodes=(node,), helm_status="pending-upgrade"))
    assert [finding.object for finding in found] == ["node/n1", "release/platform", "node/n1"]
    says(found[0], "stopped posting")
    says(found[1], "helm rollback platform -n default")
    says(only(replace(WELL, helm_status="failed")), "helm history platform")


def test_restarts_that_are_over_are_a_hint() -> None:
    last = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    was = pod(ready=True, container={"ready": True, "restartCount": 5, "lastState": last})
    finding = only(replace(WELL, pods=(was,)))
    assert finding.severity is Severity.HINT
    says(finding, "5 restarts", "OOMKilled")


# --- the reader, against an API server of the test's own --------------------------------------------------------------

Answers = dict[str, tuple[int, Thing]]


@pytest.fixture
def server(socket_enabled: None, tmp_path: Path) -> Any:
    """Answers by path; what is not in it is an empty list."""
    answers: Answers = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path.partition("?")[0], (200, {"items": []}))
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    configuration = client.Configuration(host=f"http://127.0.0.1:{listening.server_port}")
    configuration.retries = False
    with client.ApiClient(configuration) as api:
        yield answers, Reader(api)
    listening.shutdown()
    listening.server_close()
    thread.join(5)


SECRETS = "/api/v1/namespaces/default/secrets"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
FORBIDDEN: tuple[int, Thing] = (403, {"kind": "Status", "reason": "Forbidden"})


def test_what_may_not_be_read_is_named_and_the_rest_is_read(server: tuple[Answers, Reader]) -> None:
    answers, reader = server
    answers[SECRETS] = answers["/api/v1/nodes"] = FORBIDDEN
    answers[DEPLOYMENTS] = 200, {"items": [WELL.deployments[0]]}
    snapshot = reader.read("platform", "default")
    assert [note.partition(":")[0] for note in snapshot.unread] == ["secrets (Helm's own record)", "nodes"]
    assert snapshot.deployments == WELL.deployments


def test_the_newest_revision_counts(server: tuple[Answers, Reader]) -> None:
    answers, reader = server
    answers[SECRETS] = (
        200,
        {
            "items": [
                {"metadata": {"name": f"v{n}", "labels": {"version": str(n), "status": status}}}
                for n, status in ((9, "superseded"), (10, "failed"), (2, "superseded"))
            ]
        },
    )
    assert reader.read("platform", "default").helm_status == "failed"


def refused(status: int) -> Callable[[Answers], None]:
    def everything(answers: Answers) -> None:
        answers[DEPLOYMENTS] = answers["/api/v1/namespaces/default/pods"] = status, {}

    return everything


def elsewhere(answers: Answers) -> None:
    answers[DEPLOYMENTS] = 200, {"items": None}  # as the API server writes an empty list of metadata
    answers["/apis/apps/v1/deployments"] = 200, {"items": [{"metadata": {"name": "x", "namespace": "shop"}}]}


def no_namespace(answers: Answers) -> None:
    answers["/api/v1/namespaces"] = 200, {"items": [{"metadata": {"name": "shop"}}]}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (refused(401), "does not know you"),
        (refused(403), "platform-viewer is enough"),
        (elsewhere, "--namespace shop"),
        (no_namespace, "no namespace default"),
        (lambda _: None, "no release platform in the namespace default"),
    ],
)
def test_who_cannot_be_answered_is_told_why(
    server: tuple[Answers, Reader], state: Callable[[Answers], None], words: str
) -> None:
    answers, reader = server
    state(answers)
    with pytest.raises(CannotAsk, match=words):
        reader.read("platform", "default")
