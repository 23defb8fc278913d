"""Why a release is not healthy: findings in words, from a snapshot. Pure; nothing here asks the cluster.

Each rule looks at one kind of object. What follows from something else is put under it at the end: one Postgres that
cannot be scheduled leaves a dozen pods unready, and there is one thing to mend.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from platform_cli.k8s.snapshot import Object, Snapshot, condition, labels_of, name_of, owner_of

OURS = ("payment-gateway", "risk-engine", "data-pipeline")
STARTS_WITHIN_S = 120  # a process that is younger is starting; the slowest took 90 s on a busy laptop
RESTARTS_TOLD = 3
CANNOT_PULL = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
)
CANNOT_CREATE = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
BASES = ("postgres", "redis")  # everything else waits for them
MIGRATION = "migrate"


class Severity(StrEnum):
    """How bad it is. Only a critical finding makes the release unhealthy."""

    CRITICAL = "critical"
    WARNING = "warning"
    HINT = "hint"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, with the next command. `leads_to` are the findings that go away with it."""

    severity: Severity
    object: str
    """`deployment/platform-risk-engine-api`, as kubectl takes it."""
    problem: str
    cause: str
    command: str
    leads_to: tuple[Finding, ...] = ()
    needs_bases: bool = field(default=False, compare=False)
    """A process that runs and fails may do so because what it needs is not there."""


def diagnose(snapshot: Snapshot) -> list[Finding]:
    """Everything that is wrong, worst first, consequences under their causes."""
    about = _Diagnosis(snapshot)
    found = [
        *about.helm(),
        *about.nodes(),
        *about.claims(),
        *about.pods(),
        *about.refused_pods(),
        *about.jobs(),
        *about.rollouts(),
        *about.services(),
        *about.autoscalers(),
        *about.budgets(),
    ]
    order = list(Severity)
    return sorted(_grouped(found, about), key=lambda finding: order.index(finding.severity))


class _Diagnosis:
    """The rules over one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._kubectl = f"kubectl -n {snapshot.namespace}"

    # --- whose pod is it ----------------------------------------------------------------------------------------------

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
    def component(self) -> dict[str, str]:
        """Component label by workload."""
        snapshot = self.snapshot
        kinds = (
            ("deployment", snapshot.deployments),
            ("statefulset", snapshot.stateful_sets),
            ("job", snapshot.jobs),
        )
        return {
            f"{kind}/{name_of(thing)}": labels_of(thing).get("app.kubernetes.io/component", "")
            for kind, things in kinds
            for thing in things
        }

    @cached_property
    def service_name(self) -> dict[str, str]:
        """Name label (payment-gateway, postgres) by workload."""
        snapshot = self.snapshot
        return {
            f"{kind}/{name_of(thing)}": labels_of(thing).get("app.kubernetes.io/name", "")
            for kind, things in (
                ("deployment", snapshot.deployments),
                ("statefulset", snapshot.stateful_sets),
                ("job", snapshot.jobs),
            )
            for thing in things
        }

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

    # --- the release and the cluster ----------------------------------------------------------------------------------

    def helm(self) -> Iterator[Finding]:
        status, release = self.snapshot.helm_status, self.snapshot.release
        where = f"-n {self.snapshot.namespace}"
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

    def nodes(self) -> Iterator[Finding]:
        for node in self.snapshot.nodes:
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
                        condition(node, pressure).get("message")
                        or "It is running out of what the name says.",
                        f"kubectl describe node {name}",
                    )

    def claims(self) -> Iterator[Finding]:
        for claim in self.snapshot.claims:
            status = claim.get("status", {}).get("phase")
            if status == "Bound":
                continue
            name = name_of(claim)
            said = next(
                self.snapshot.said_of(
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
                cause = (
                    "The volume that it was bound to is gone, and the data with it unless there is a backup."
                )
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
                f"kubectl get storageclass; {self._kubectl} describe persistentvolumeclaim {name}",
            )

    # --- pods ---------------------------------------------------------------------------------------------------------

    def pods(self) -> Iterator[Finding]:
        """One finding per workload and problem, however many of its pods have it."""
        seen: dict[tuple[str, str], tuple[Finding, int]] = {}
        for pod in self.snapshot.pods:
            finding = None if pod["metadata"].get("deletionTimestamp") else self._pod(pod)
            if finding:
                finding = self._and_replaced(pod, finding)
                key = finding.object, finding.problem
                seen[key] = seen.get(key, (finding, 0))[0], seen.get(key, (finding, 0))[1] + 1
        for finding, count in seen.values():
            yield replace(finding, problem=f"{finding.problem} ({count} pods)") if count > 1 else finding

    def _and_replaced(self, pod: Object, finding: Finding) -> Finding:
        """A StatefulSet waits for a pod that never became ready, also when its template has been mended since."""
        if finding.severity is not Severity.CRITICAL or not finding.object.startswith("statefulset/"):
            return finding
        then = f"  # once that is mended: {self._kubectl} delete pod {name_of(pod)}; a StatefulSet keeps a broken pod"
        return replace(finding, command=finding.command + then)

    def _pod(self, pod: Object) -> Finding | None:
        status = pod.get("status") or {}
        if status.get("phase") == "Succeeded":
            return None
        scheduled = condition(pod, "PodScheduled")
        if scheduled.get("status") == "False":
            return self._unschedulable(pod, scheduled.get("message") or "")
        every = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
        for container in every:
            if found := self._container(pod, container):
                return found
        if status.get("phase") == "Failed":
            return (
                self._ended(pod, status) if not self._is_of_a_job(pod) else None
            )  # a Job speaks for its pods
        if self._is_of_a_job(pod):
            return self._stuck_mount(pod) if status.get("phase") == "Pending" else None
        if condition(pod, "Ready").get("status") == "True":
            return self._restarted(pod, every)
        return self._stuck_mount(pod) or self._unready(pod, every)

    def _is_of_a_job(self, pod: Object) -> bool:
        return (owner_of(pod) or ("", ""))[0] == "Job"

    def _unschedulable(self, pod: Object, message: str) -> Finding:
        wants = _requests(pod)
        if "unbound immediate PersistentVolumeClaims" in message or re.search(
            r'persistentvolumeclaim ".*" not found', message
        ):
            cause = "Its volume claim is not bound."
            command = f"{self._kubectl} get persistentvolumeclaims"
        elif found := re.search(r"Insufficient ([\w/-]+(?:\.[\w/-]+)*)", message):
            cause = f"No node has enough {found[1]} left for what it requests ({wants})."
            command = (
                "kubectl describe nodes | grep -A 8 'Allocated resources'"
                f"  # then lower resources.requests.{found[1]}"
            )
        elif "untolerated taint" in message:
            taint = re.search(r"untolerated taint\(?s?\)? ?\{([^}]*)\}", message)
            cause = f"Every node that is left has a taint that it does not tolerate{f' ({taint[1]})' if taint else ''}."
            command = "kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints"
        elif "topology spread" in message or "affinity" in message or "selector" in message:
            cause = "No node fits its node selector, affinity or spread over nodes and zones."
            command = "kubectl get nodes --show-labels"
        else:
            cause, command = "The scheduler finds no node.", f"{self._kubectl} describe pod {name_of(pod)}"
        said = f" The scheduler says: {message}" if message else ""
        return Finding(
            Severity.CRITICAL, self.workload(pod), "A pod cannot be scheduled.", cause + said, command
        )

    def _container(self, pod: Object, container: Object) -> Finding | None:
        """What keeps one container from running."""
        name, state = container["name"], container.get("state") or {}
        waiting = state.get("waiting") or {}
        reason, message = waiting.get("reason", ""), waiting.get("message") or ""
        if reason in CANNOT_PULL:
            return self._unpulled(pod, container, message)
        if reason in CANNOT_CREATE:
            return self._uncreated(pod, name, reason, message)
        last = (container.get("lastState") or {}).get("terminated") or {}
        now = state.get("terminated") or {}
        ended = now if now.get("exitCode") else last
        crashing = reason == "CrashLoopBackOff" or bool(now.get("exitCode") and not self._is_of_a_job(pod))
        # Between two tries a container of a loop runs for a moment: it is not ready then either.
        crashing = crashing or (
            not container.get("ready", False)
            and container.get("restartCount", 0) >= RESTARTS_TOLD
            and bool(last.get("exitCode"))
        )
        if not crashing:
            return None
        return self._crashed(pod, container, ended)

    def _unpulled(self, pod: Object, container: Object, message: str) -> Finding:
        image = _image(pod, container)
        repository, _, version = image.partition("@")[0].rpartition(":")
        said = next(self.snapshot.said_of("Pod", name_of(pod), "Failed"), "") or message
        if repository in OURS:
            cause = (
                f"{repository} lies in no registry: this cluster's nodes have to hold version {version},"
                " which was never loaded into them."
            )
            command = f"make kind-load VERSION={version}"
        elif "InvalidImageName" in str(container.get("state")):
            cause, command = f"That is no name of an image. {said}", self._get_values()
        elif any(
            word in said for word in ("unauthorized", "denied", "authentication required", "401", "403")
        ):
            cause = f"The registry refuses the credentials, or there are none. {said}"
            command = f"{self._kubectl} get serviceaccount -o yaml  # imagePullSecrets"
        else:
            cause = f"The tag does not exist, or the registry is not to be reached. {said}"
            command = f"docker manifest inspect {image}"
        return Finding(
            Severity.CRITICAL,
            self.workload(pod),
            f"The image {image} of {container['name']} cannot be pulled.",
            cause.strip(),
            command,
        )

    def _get_values(self) -> str:
        return f"helm get values {self.snapshot.release} -n {self.snapshot.namespace}"

    def _uncreated(self, pod: Object, name: str, reason: str, message: str) -> Finding:
        missing = re.search(r'(secret|configmap) "?([\w.-]+)"? not found', message)
        key = re.search(r"couldn't find key (\S+) in (Secret|ConfigMap) \S*?/?([\w.-]+)$", message)
        if missing:
            cause = f"There is no {_kind(missing[1])} {missing[2]} in this namespace."
            command = f"{self._kubectl} get {missing[1]} {missing[2]}"
        elif key:
            cause = f"The {key[2]} {key[3]} has no key {key[1]}."
            command = f"{self._kubectl} describe {key[2].lower()} {key[3]}"
        else:
            cause, command = message or reason, f"{self._kubectl} describe pod {name_of(pod)}"
        return Finding(
            Severity.CRITICAL, self.workload(pod), f"{name} cannot be created ({reason}).", cause, command
        )

    def _stuck_mount(self, pod: Object) -> Finding | None:
        """A container that waits for a volume says nothing itself; the kubelet's events do."""
        if (pod.get("status") or {}).get("phase") != "Pending":
            return None
        said = next(self.snapshot.said_of("Pod", name_of(pod), "FailedMount", "FailedAttachVolume"), None)
        if said is None:
            return None
        missing = re.search(r'(secret|configmap) "([\w.-]+)" not found', said)
        key = re.search(r"references non-existent (secret|config) key: ([\w.-]+)", said)
        if missing:
            problem = (
                f"A pod cannot start: it mounts the {_kind(missing[1])} {missing[2]}, which does not exist."
            )
            cause = "The name in the values is wrong, or it was never made in this namespace."
            command = f"{self._kubectl} get {missing[1]} {missing[2]}"
        elif key:
            kind = "secret" if key[1] == "secret" else "configmap"
            volume = re.search(r'volume "([\w.-]+)"', said)
            source = _source(pod, volume[1] if volume else "", kind)
            problem = f"A pod cannot start: the {_kind(kind)} {source} that it mounts has no key {key[2]}."
            cause = "Who made it left the key out; the chart's templates/credentials.yaml lists them all."
            command = f"{self._kubectl} describe {kind} {source}"
        else:
            problem, cause = "A pod cannot start: a volume cannot be mounted.", said
            command = f"{self._kubectl} describe pod {name_of(pod)}"
        return Finding(Severity.CRITICAL, self.workload(pod), problem, cause, command)

    def _crashed(self, pod: Object, container: Object, ended: Object) -> Finding:
        name, code = container["name"], ended.get("exitCode")
        log = self.snapshot.logs.get((name_of(pod), name), ())
        command = f"{self._kubectl} logs {name_of(pod)} -c {name} --previous"
        if ended.get("reason") == "OOMKilled":
            limit = _limit(pod, name, "memory")
            return Finding(
                Severity.CRITICAL,
                self.workload(pod),
                f"{name} was killed for want of memory (OOMKilled, exit code {code})"
                f" and restarted {container.get('restartCount', 0)} times.",
                f"It needs more than its limit of {limit or 'memory (none of its own: the node ran out)'}.",
                f"{command}  # then raise resources.limits.memory of the process",
            )
        said = (
            f" Its last words: {' | '.join(log)}"
            if log
            else " It said nothing, or its log could not be read."
        )
        return Finding(
            Severity.CRITICAL,
            self.workload(pod),
            f"{name} ends with exit code {code} again and again ({container.get('restartCount', 0)} restarts).",
            f"{_exit_code(code)}{said}",
            command,
            needs_bases=True,
        )

    def _ended(self, pod: Object, status: Object) -> Finding:
        return Finding(
            Severity.WARNING,
            self.workload(pod),
            f"A pod has failed ({status.get('reason') or 'no reason given'}).",
            status.get("message") or "It is kept for its log; its workload made another one.",
            f"{self._kubectl} describe pod {name_of(pod)}",
        )

    def _restarted(self, pod: Object, containers: list[Object]) -> Finding | None:
        """Ready now, but it was not always: somebody should know."""
        for container in containers:
            last = (container.get("lastState") or {}).get("terminated") or {}
            if container.get("restartCount", 0) >= RESTARTS_TOLD and last:
                reason = last.get("reason") or "Error"
                return Finding(
                    Severity.HINT,
                    self.workload(pod),
                    f"{container['name']} is ready, after {container['restartCount']} restarts;"
                    f" the last was {reason}, exit code {last.get('exitCode')}.",
                    "It recovered by itself; if that goes on, its limits or its probes are too tight.",
                    f"{self._kubectl} logs {name_of(pod)} -c {container['name']} --previous",
                )
        return None

    def _unready(self, pod: Object, containers: list[Object]) -> Finding:
        name = name_of(pod)
        young = self._age_s(pod) < STARTS_WITHIN_S
        said = next(
            (
                message
                for message in self.snapshot.said_of("Pod", name, "Unhealthy", "ProbeWarning")
                if "probe failed" in message.lower() or "probe errored" in message.lower()
            ),
            "",
        )
        waiting = next(
            (entry["name"] for entry in containers if not entry.get("ready", False)), "a container"
        )
        which = re.match(r"(\w+) probe", said)
        door = _door(pod, waiting, f"{which[1].lower()}Probe") if which else ""
        if which:
            problem = f"{waiting} is not ready: its {which[1].lower()} probe{door} fails."
            cause = f"The probe was answered: {said.partition(': ')[2].strip() or said}"
        else:
            problem = f"{waiting} is not ready{' yet' if young else ''}."
            cause = "It is starting." if young else "No probe has said why; its log may."
        return Finding(
            Severity.WARNING if young else Severity.CRITICAL,
            self.workload(pod),
            problem,
            cause,
            f"{self._kubectl} logs {name} -c {waiting} --tail 20",
            needs_bases=True,
        )

    def _age_s(self, thing: Object) -> float:
        begun = (thing.get("status") or {}).get("startTime") or thing["metadata"].get("creationTimestamp")
        if not begun:
            return 0.0
        return (self.snapshot.at - datetime.fromisoformat(begun)).total_seconds()

    # --- what makes pods ----------------------------------------------------------------------------------------------

    def refused_pods(self) -> Iterator[Finding]:
        """Pods that the API server does not let anybody create: they do not exist, so only events tell of them."""
        makers: list[tuple[str, str, Object, bool]] = [
            *(("ReplicaSet", self.workload(t), t, _short(t)) for t in self.snapshot.replica_sets),
            *(
                ("StatefulSet", f"statefulset/{name_of(t)}", t, _short(t))
                for t in self.snapshot.stateful_sets
            ),
            *(
                ("Job", f"job/{name_of(t)}", t, not (t.get("status") or {}).get("succeeded"))
                for t in self.snapshot.jobs
            ),
        ]
        told: set[str] = set()
        for kind, workload, maker, is_short in makers:
            said = next(self.snapshot.said_of(kind, name_of(maker), "FailedCreate"), None)
            if said is None or not is_short or workload in told:
                continue
            told.add(workload)
            yield self._refused(workload, said)
        for deployment in self.snapshot.deployments:  # the same, for who may not list ReplicaSets
            failure, workload = condition(deployment, "ReplicaFailure"), f"deployment/{name_of(deployment)}"
            if failure.get("status") == "True" and workload not in told:
                yield self._refused(workload, failure.get("message") or "")

    def _refused(self, workload: str, said: str) -> Finding:
        if "exceeded quota" in said:
            cause = f"The namespace's quota is used up: {said[said.index('exceeded quota') :]}"
            command = f"{self._kubectl} describe resourcequota"
        elif "violates PodSecurity" in said:
            cause = (
                f"The namespace enforces a Pod Security level: {said[said.index('violates PodSecurity') :]}"
            )
            command = f"kubectl get namespace {self.snapshot.namespace} --show-labels"
        elif "serviceaccount" in said and "not found" in said:
            cause = f"Its service account does not exist: {said}"
            command = f"{self._kubectl} get serviceaccounts"
        else:
            cause, command = said, f"{self._kubectl} describe {workload.replace('/', ' ')}"
        return Finding(Severity.CRITICAL, workload, "The API server refuses its pods.", cause, command)

    def jobs(self) -> Iterator[Finding]:
        for job in self.snapshot.jobs:
            name, status = name_of(job), job.get("status") or {}
            migrates = labels_of(job).get("app.kubernetes.io/component") == MIGRATION
            failed = condition(job, "Failed")
            if failed.get("status") == "True":
                log = next(
                    (lines for (pod, _), lines in self.snapshot.logs.items() if pod.startswith(name)), ()
                )
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
                    f"{self._kubectl} logs job/{name} --tail 40"
                    + (
                        f"  # when mended: {self._kubectl} delete job {name}, and helm upgrade again"
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
                    f"{self._kubectl} logs job/{name} --tail 20",
                    needs_bases=True,
                )

    def rollouts(self) -> Iterator[Finding]:
        for deployment in self.snapshot.deployments:
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
                    f"helm rollback {self.snapshot.release} -n {self.snapshot.namespace}"
                    f"  # or first: {self._kubectl} rollout status deployment {name}",
                )

    # --- what stands before pods --------------------------------------------------------------------------------------

    def services(self) -> Iterator[Finding]:
        if any(note.startswith("endpointslices") for note in self.snapshot.unread):
            return
        ready: dict[str, int] = {}
        for piece in self.snapshot.endpoint_slices:
            behind = labels_of(piece).get("kubernetes.io/service-name", "")
            answering = [
                endpoint
                for endpoint in piece.get("endpoints") or []
                if (endpoint.get("conditions") or {}).get("ready") is not False
            ]
            ready[behind] = ready.get(behind, 0) + len(answering)
        for service in self.snapshot.services:
            name, selector = name_of(service), service["spec"].get("selector") or {}
            if not selector or ready.get(name):
                continue
            pods = [p for p in self.snapshot.pods if selector.items() <= labels_of(p).items()]
            if pods:
                cause = f"It selects {len(pods)} pods, and none of them is ready."
            elif self.selected[f"service/{name}"]:
                cause = "What it selects has no pods: scaled to zero, or they cannot be created."
            else:
                cause = "Its selector fits no workload of the release."
            wanted = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
            yield Finding(
                Severity.CRITICAL,
                f"service/{name}",
                "The Service has no endpoints: whoever calls it is refused.",
                cause,
                f"{self._kubectl} get pods -l {wanted}",
            )

    def autoscalers(self) -> Iterator[Finding]:
        for scaler in self.snapshot.autoscalers:
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
                    f"{self._kubectl} describe horizontalpodautoscaler {name_of(scaler)}",
                )

    def budgets(self) -> Iterator[Finding]:
        for budget in self.snapshot.budgets:
            status: Object = budget.get("status") or {}
            name = name_of(budget)
            expected, healthy = status.get("expectedPods", 0), status.get("currentHealthy", 0)
            desired = status.get("desiredHealthy", 0)
            if not expected or status.get("disruptionsAllowed", 0):
                continue
            if desired >= expected:
                cause = f"It asks for {desired} healthy pods of {expected}: no eviction can ever be allowed."
                command = (
                    f"{self._kubectl} describe poddisruptionbudget {name}  # lower it, or run one pod more"
                )
            else:
                cause = f"{healthy} pods are healthy and {desired} have to be; a drain waits until they are."
                command = f"{self._kubectl} describe poddisruptionbudget {name}"
            yield Finding(
                Severity.WARNING,
                f"poddisruptionbudget/{name}",
                "The disruption budget allows no eviction: draining a node waits.",
                cause,
                command,
            )


# --- causes and consequences -----------------------------------------------------------------------------------------


def _grouped(found: list[Finding], about: _Diagnosis) -> list[Finding]:
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


def _cause(number: int, finding: Finding, found: list[Finding], about: _Diagnosis) -> int | None:
    """Which finding this one follows from. Only to a lower layer, or up in the same one: there is no circle."""
    own = _layer(finding, about)
    behind = about.selected.get(finding.object, {finding.object})
    if finding.object.startswith("horizontalpodautoscaler/"):
        behind = _scaled(finding, about)
    for other, candidate in enumerate(found):
        if other == number:
            continue
        same = candidate.object in behind and _layer(candidate, about) < own
        volume = (
            "volume claim is not bound" in finding.cause
            and candidate.object.startswith("persistentvolumeclaim/")
            and candidate.object.endswith(tuple(_claims_of(finding.object, about)))
        )
        if same or volume:
            return other
    if finding.needs_bases:
        service = about.service_name.get(finding.object)
        for other, candidate in enumerate(found):
            base = about.component.get(candidate.object) in BASES and _layer(candidate, about) < own
            migration = (
                about.component.get(candidate.object) == MIGRATION
                and about.component.get(finding.object) != MIGRATION
                and about.service_name.get(candidate.object) == service
                and _layer(candidate, about) < own
            )
            if other != number and (base or migration):
                return other
    return None


def _layer(finding: Finding, about: _Diagnosis) -> int:
    """What is lower may be the cause of what is higher."""
    kind = finding.object.partition("/")[0]
    if kind in ("node", "persistentvolumeclaim"):
        return 0
    part = about.component.get(finding.object, "")
    rank = 1 if part in BASES else 3 if part == MIGRATION else 5
    if kind in ("service", "poddisruptionbudget", "horizontalpodautoscaler"):
        return 8
    is_summary = (kind == "job" and "migration" in finding.problem) or "rollout is stuck" in finding.problem
    return rank + (1 if is_summary else 0)


def _scaled(finding: Finding, about: _Diagnosis) -> set[str]:
    name = finding.object.partition("/")[2]
    if "metrics API; metrics-server" in finding.cause:
        return set()
    return {
        f"deployment/{scaler['spec']['scaleTargetRef']['name']}"
        for scaler in about.snapshot.autoscalers
        if name_of(scaler) == name
    }


def _claims_of(workload: str, about: _Diagnosis) -> list[str]:
    """Names of the volume claims that a workload's pods mount."""
    return [
        volume["persistentVolumeClaim"]["claimName"]
        for pod in about.snapshot.pods
        if about.workload(pod) == workload
        for volume in pod["spec"].get("volumes") or []
        if "persistentVolumeClaim" in volume
    ] or ["\0"]


# --- small readings of a pod ------------------------------------------------------------------------------------------


def _short(maker: Object) -> bool:
    """Fewer pods than it should have."""
    return int((maker.get("status") or {}).get("replicas") or 0) < int(maker["spec"].get("replicas", 1) or 0)


def _container_spec(pod: Object, name: str) -> Object:
    containers = [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]
    return next((found for found in containers if found["name"] == name), {})


def _image(pod: Object, container: Object) -> str:
    """As the pod asks for it; the status names it as the runtime does, with docker.io/library before it."""
    return str(_container_spec(pod, container["name"]).get("image") or container.get("image", ""))


def _limit(pod: Object, container: str, resource: str) -> str:
    resources = _container_spec(pod, container).get("resources") or {}
    return str((resources.get("limits") or {}).get(resource, ""))


def _requests(pod: Object) -> str:
    asked = [
        f"{name} {value}"
        for container in pod["spec"]["containers"]
        for name, value in ((container.get("resources") or {}).get("requests") or {}).items()
    ]
    return ", ".join(asked) or "nothing"


def _door(pod: Object, container: str, probe: str) -> str:
    """Where the probe knocks, as ` (/health/ready on http)`."""
    http = (_container_spec(pod, container).get(probe) or {}).get("httpGet")
    return f" ({http.get('path', '/')} on {http.get('port')})" if http else ""


def _source(pod: Object, volume: str, kind: str) -> str:
    """Name of the Secret or ConfigMap behind a volume."""
    for entry in pod["spec"].get("volumes") or []:
        if entry["name"] == volume and kind == "secret" and "secret" in entry:
            return str(entry["secret"]["secretName"])
        if entry["name"] == volume and kind == "configmap" and "configMap" in entry:
            return str(entry["configMap"]["name"])
    return f"of volume {volume}"


def _kind(word: str) -> str:
    return {"secret": "Secret", "configmap": "ConfigMap"}[word]


def _exit_code(code: int | None) -> str:
    meanings = {
        1: "It gave up with an error.",
        126: "Its command is not executable.",
        127: "Its command is not in the image.",
        137: "It was killed (SIGKILL): a liveness or startup probe failed too often, or memory ran out.",
        139: "It crashed (SIGSEGV).",
        143: "It was told to stop (SIGTERM): a liveness or startup probe failed too often.",
        0: "It ended as if it were done.",
    }
    return meanings.get(code if code is not None else -1, "It ended with an error.")
