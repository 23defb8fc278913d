"""What is wrong around pods: the release, the nodes, the claims, what makes pods, and what stands before them."""

from __future__ import annotations

from collections.abc import Iterator

from platform_cli.k8s.finding import Finding, Severity
from platform_cli.k8s.snapshot import MIGRATION, Object, condition, labels_of, name_of
from platform_cli.k8s.workloads import Workloads


def helm(about: Workloads) -> Iterator[Finding]:
    status, release = about.snapshot.helm_status, about.snapshot.release
    where = f"-n {about.snapshot.namespace}"
    if status == "failed":
        yield Finding(
            Severity.WARNING,
            f"release/{release}",
            "The last helm install or upgrade failed.",
            "Helm gave up waiting, or the API server refused an object; what runs may be half of each version.",
            f"helm history {release} {where}",
        )
    elif status.startswith("pending-") or status == "uninstalling":
        yield Finding(
            Severity.WARNING,
            f"release/{release}",
            f"Helm calls the release {status}.",
            "A helm command is still running, or was killed; until it ends every other one is refused.",
            f"helm history {release} {where}  # if nobody is at it: helm rollback {release} {where}",
        )


def nodes(about: Workloads) -> Iterator[Finding]:
    for node in about.snapshot.nodes:
        name = name_of(node)
        if condition(node, "Ready").get("status", "True") != "True":
            yield Finding(
                Severity.CRITICAL,
                f"node/{name}",
                "The node is not ready: its pods take no traffic and new ones go elsewhere.",
                condition(node, "Ready").get("message") or "Its kubelet no longer answers.",
                f"kubectl describe node {name}",
            )
        for pressure in ("DiskPressure", "MemoryPressure", "PIDPressure"):
            if condition(node, pressure).get("status") == "True":
                yield Finding(
                    Severity.WARNING,
                    f"node/{name}",
                    f"The node has {pressure}: the kubelet evicts pods and takes no new ones.",
                    condition(node, pressure).get("message") or "It is running out of what the name says.",
                    f"kubectl describe node {name}",
                )


def claims(about: Workloads) -> Iterator[Finding]:
    for claim in about.snapshot.claims:
        status = claim.get("status", {}).get("phase")
        if status == "Bound":
            continue
        name = name_of(claim)
        said = next(
            about.snapshot.said_of(
                "PersistentVolumeClaim",
                name,
                "ProvisioningFailed",
                "FailedBinding",
                "WaitForFirstConsumer",
            ),
            "",
        )
        storage_class = claim["spec"].get("storageClassName")
        if status == "Lost":
            cause = "The volume that it was bound to is gone, and the data with it unless there is a backup."
        elif "waiting for first consumer" in said or "WaitForFirstConsumer" in said:
            continue  # it is made when its pod has a node: the pod is what to look at
        elif storage_class and "not found" in said:
            cause = f"There is no storage class {storage_class}: {said}"
        else:
            cause = said or (
                f"Nothing provides volumes of the class {storage_class}."
                if storage_class
                else "It names no storage class and the cluster has no default one."
            )
        yield Finding(
            Severity.CRITICAL,
            f"persistentvolumeclaim/{name}",
            f"The volume claim is {status}: no pod that mounts it can start.",
            cause,
            f"kubectl get storageclass; {about.kubectl} describe persistentvolumeclaim {name}",
        )


def refused_pods(about: Workloads) -> Iterator[Finding]:
    """Pods that the API server does not let anybody create: they do not exist, so only events tell of them."""
    makers: list[tuple[str, str, Object, bool]] = [
        *(("ReplicaSet", about.workload(t), t, _short(t)) for t in about.snapshot.replica_sets),
        *(("StatefulSet", f"statefulset/{name_of(t)}", t, _short(t)) for t in about.snapshot.stateful_sets),
        *(
            ("Job", f"job/{name_of(t)}", t, not (t.get("status") or {}).get("succeeded"))
            for t in about.snapshot.jobs
        ),
    ]
    told: set[str] = set()
    for kind, workload, maker, is_short in makers:
        said = next(about.snapshot.said_of(kind, name_of(maker), "FailedCreate"), None)
        if said is None or not is_short or workload in told:
            continue
        told.add(workload)
        yield _refused(about, workload, said)
    for deployment in about.snapshot.deployments:  # the same, for who may not list ReplicaSets
        failure, workload = condition(deployment, "ReplicaFailure"), f"deployment/{name_of(deployment)}"
        if failure.get("status") == "True" and workload not in told:
            yield _refused(about, workload, failure.get("message") or "")


def _refused(about: Workloads, workload: str, said: str) -> Finding:
    if "exceeded quota" in said:
        cause = f"The namespace's quota is used up: {said[said.index('exceeded quota') :]}"
        command = f"{about.kubectl} describe resourcequota"
    elif "violates PodSecurity" in said:
        cause = f"The namespace enforces a Pod Security level: {said[said.index('violates PodSecurity') :]}"
        command = f"kubectl get namespace {about.snapshot.namespace} --show-labels"
    elif "serviceaccount" in said and "not found" in said:
        cause = f"Its service account does not exist: {said}"
        command = f"{about.kubectl} get serviceaccounts"
    else:
        cause, command = said, f"{about.kubectl} describe {workload.replace('/', ' ')}"
    return Finding(Severity.CRITICAL, workload, "The API server refuses its pods.", cause, command)


def jobs(about: Workloads) -> Iterator[Finding]:
    for job in about.snapshot.jobs:
        name, status = name_of(job), job.get("status") or {}
        migrates = labels_of(job).get("app.kubernetes.io/component") == MIGRATION
        failed = condition(job, "Failed")
        if failed.get("status") == "True":
            log = next((lines for (pod, _), lines in about.snapshot.logs.items() if pod.startswith(name)), ())
            said = f" Its last words: {' | '.join(log)}" if log else ""
            what = (
                "The migration failed: processes of this version wait for its schema."
                if migrates
                else "The job failed."
            )
            yield Finding(
                Severity.CRITICAL if migrates else Severity.WARNING,
                f"job/{name}",
                what,
                f"{failed.get('reason', '')}: {failed.get('message', '')}.{said}",
                f"{about.kubectl} logs job/{name} --tail 40"
                + (
                    f"  # when mended: {about.kubectl} delete job {name}, and helm upgrade again"
                    if migrates
                    else ""
                ),
                needs_bases=True,
            )
        elif migrates and not status.get("succeeded"):
            yield Finding(
                Severity.WARNING,
                f"job/{name}",
                "The migration is not through: processes of this version wait for its schema.",
                "It runs, waits for Postgres or for a lock, or its pod cannot start.",
                f"{about.kubectl} logs job/{name} --tail 20",
                needs_bases=True,
            )


def rollouts(about: Workloads) -> Iterator[Finding]:
    for deployment in about.snapshot.deployments:
        progressing = condition(deployment, "Progressing")
        if progressing.get("reason") == "ProgressDeadlineExceeded":
            name = name_of(deployment)
            ready = (deployment.get("status") or {}).get("availableReplicas") or 0
            yield Finding(
                Severity.CRITICAL,
                f"deployment/{name}",
                "The rollout is stuck: its deadline has passed (ProgressDeadlineExceeded).",
                "Its new pods do not become ready; "
                + (f"{ready} old or new ones still serve." if ready else "none of it serves."),
                f"helm rollback {about.snapshot.release} -n {about.snapshot.namespace}"
                f"  # or first: {about.kubectl} rollout status deployment {name}",
            )


def services(about: Workloads) -> Iterator[Finding]:
    if any(note.startswith("endpointslices") for note in about.snapshot.unread):
        return
    ready: dict[str, int] = {}
    for piece in about.snapshot.endpoint_slices:
        behind = labels_of(piece).get("kubernetes.io/service-name", "")
        answering = [
            endpoint
            for endpoint in piece.get("endpoints") or []
            if (endpoint.get("conditions") or {}).get("ready") is not False
        ]
        ready[behind] = ready.get(behind, 0) + len(answering)
    for service in about.snapshot.services:
        name, selector = name_of(service), service["spec"].get("selector") or {}
        if not selector or ready.get(name):
            continue
        pods = [p for p in about.snapshot.pods if selector.items() <= labels_of(p).items()]
        if pods:
            cause = f"It selects {len(pods)} pods, and none of them is ready."
        elif about.selected[f"service/{name}"]:
            cause = "What it selects has no pods: scaled to zero, or they cannot be created."
        else:
            cause = "Its selector fits no workload of the release."
        wanted = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
        yield Finding(
            Severity.CRITICAL,
            f"service/{name}",
            "The Service has no endpoints: whoever calls it is refused.",
            cause,
            f"{about.kubectl} get pods -l {wanted}",
        )


def autoscalers(about: Workloads) -> Iterator[Finding]:
    for scaler in about.snapshot.autoscalers:
        active = condition(scaler, "ScalingActive")
        able = condition(scaler, "AbleToScale")
        if active.get("status") == "False" and active.get("reason") != "ScalingDisabled":
            said = active.get("message") or ""
            nobody = (
                any(
                    words in said
                    for words in (
                        "could not find the requested resource",
                        "unable to fetch metrics from resource metrics API",
                    )
                )
                and "no metrics returned" not in said
            )
            yield Finding(
                Severity.WARNING,
                f"horizontalpodautoscaler/{name_of(scaler)}",
                "The autoscaler has no metrics: it scales nothing.",
                (
                    f"Nothing serves the metrics API; metrics-server is missing or down. {said}"
                    if nobody
                    else f"{active.get('reason')}: {said}"
                ),
                "kubectl get apiservice v1beta1.metrics.k8s.io",
            )
        elif able.get("status") == "False":
            yield Finding(
                Severity.WARNING,
                f"horizontalpodautoscaler/{name_of(scaler)}",
                "The autoscaler cannot scale what it is for.",
                f"{able.get('reason')}: {able.get('message')}",
                f"{about.kubectl} describe horizontalpodautoscaler {name_of(scaler)}",
            )


def budgets(about: Workloads) -> Iterator[Finding]:
    for budget in about.snapshot.budgets:
        status: Object = budget.get("status") or {}
        name = name_of(budget)
        expected, healthy = status.get("expectedPods", 0), status.get("currentHealthy", 0)
        desired = status.get("desiredHealthy", 0)
        if not expected or status.get("disruptionsAllowed", 0):
            continue
        if desired >= expected:
            cause = f"It asks for {desired} healthy pods of {expected}: no eviction can ever be allowed."
            command = f"{about.kubectl} describe poddisruptionbudget {name}  # lower it, or run one pod more"
        else:
            cause = f"{healthy} pods are healthy and {desired} have to be; a drain waits until they are."
            command = f"{about.kubectl} describe poddisruptionbudget {name}"
        yield Finding(
            Severity.WARNING,
            f"poddisruptionbudget/{name}",
            "The disruption budget allows no eviction: draining a node waits.",
            cause,
            command,
        )


def _short(maker: Object) -> bool:
    """Fewer pods than it should have."""
    return int((maker.get("status") or {}).get("replicas") or 0) < int(maker["spec"].get("replicas", 1) or 0)
