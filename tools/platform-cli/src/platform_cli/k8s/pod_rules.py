"""What is wrong with pods: none to be had, not to be started, crashing, not ready."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from platform_cli.k8s.finding import Finding, Severity
from platform_cli.k8s.snapshot import Object, condition, name_of, owner_of
from platform_cli.k8s.workloads import Workloads

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


def pods(about: Workloads) -> Iterator[Finding]:
    """One finding per workload and problem, however many of its pods have it."""
    alike: dict[tuple[str, str], list[Finding]] = {}
    for pod in about.snapshot.pods:
        finding = None if pod["metadata"].get("deletionTimestamp") else _pod(about, pod)
        if finding:
            alike.setdefault((finding.object, finding.problem), []).append(_and_replaced(about, pod, finding))
    for first, *more in alike.values():
        yield replace(first, problem=f"{first.problem} ({1 + len(more)} pods)") if more else first


def _and_replaced(about: Workloads, pod: Object, finding: Finding) -> Finding:
    """A StatefulSet waits for a pod that never became ready, also when its template has been mended since."""
    if finding.severity is not Severity.CRITICAL or not finding.object.startswith("statefulset/"):
        return finding
    then = f"  # once that is mended: {about.kubectl} delete pod {name_of(pod)}; a StatefulSet keeps a broken pod"
    return replace(finding, command=finding.command + then)


def _pod(about: Workloads, pod: Object) -> Finding | None:
    status = pod.get("status") or {}
    if status.get("phase") == "Succeeded":
        return None
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return _unschedulable(about, pod, scheduled.get("message") or "")
    every = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    for container in every:
        if found := _container(about, pod, container):
            return found
    if status.get("phase") == "Failed":
        return (
            _ended(about, pod, status) if not _is_of_a_job(about, pod) else None
        )  # a Job speaks for its pods
    if _is_of_a_job(about, pod):
        return _stuck_mount(about, pod) if status.get("phase") == "Pending" else None
    if condition(pod, "Ready").get("status") == "True":
        return _restarted(about, pod, every)
    return _stuck_mount(about, pod) or _unready(about, pod, every)


def _is_of_a_job(about: Workloads, pod: Object) -> bool:
    return (owner_of(pod) or ("", ""))[0] == "Job"


def _unschedulable(about: Workloads, pod: Object, message: str) -> Finding:
    wants = _requests(pod)
    if "unbound immediate PersistentVolumeClaims" in message or re.search(
        r'persistentvolumeclaim ".*" not found', message
    ):
        cause = "Its volume claim is not bound."
        command = f"{about.kubectl} get persistentvolumeclaims"
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
        cause, command = "The scheduler finds no node.", f"{about.kubectl} describe pod {name_of(pod)}"
    said = f" The scheduler says: {message}" if message else ""
    return Finding(
        Severity.CRITICAL, about.workload(pod), "A pod cannot be scheduled.", cause + said, command
    )


def _container(about: Workloads, pod: Object, container: Object) -> Finding | None:
    """What keeps one container from running."""
    name, state = container["name"], container.get("state") or {}
    waiting = state.get("waiting") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message") or ""
    if reason in CANNOT_PULL:
        return _unpulled(about, pod, container, message)
    if reason in CANNOT_CREATE:
        return _uncreated(about, pod, name, reason, message)
    last = (container.get("lastState") or {}).get("terminated") or {}
    now = state.get("terminated") or {}
    ended = now if now.get("exitCode") else last
    crashing = reason == "CrashLoopBackOff" or bool(now.get("exitCode") and not _is_of_a_job(about, pod))
    # Between two tries a container of a loop runs for a moment: it is not ready then either.
    crashing = crashing or (
        not container.get("ready", False)
        and container.get("restartCount", 0) >= RESTARTS_TOLD
        and bool(last.get("exitCode"))
    )
    if not crashing:
        return None
    return _crashed(about, pod, container, ended)


def _unpulled(about: Workloads, pod: Object, container: Object, message: str) -> Finding:
    image = _image(pod, container)
    repository, _, version = image.partition("@")[0].rpartition(":")
    said = next(about.snapshot.said_of("Pod", name_of(pod), "Failed"), "") or message
    if repository in OURS:
        cause = (
            f"{repository} lies in no registry: this cluster's nodes have to hold version {version},"
            " which was never loaded into them."
        )
        command = f"make kind-load VERSION={version}"
    elif "InvalidImageName" in str(container.get("state")):
        cause, command = f"That is no name of an image. {said}", _get_values(about)
    elif any(word in said for word in ("unauthorized", "denied", "authentication required", "401", "403")):
        cause = f"The registry refuses the credentials, or there are none. {said}"
        command = f"{about.kubectl} get serviceaccount -o yaml  # imagePullSecrets"
    else:
        cause = f"The tag does not exist, or the registry is not to be reached. {said}"
        command = f"docker manifest inspect {image}"
    return Finding(
        Severity.CRITICAL,
        about.workload(pod),
        f"The image {image} of {container['name']} cannot be pulled.",
        cause.strip(),
        command,
    )


def _get_values(about: Workloads) -> str:
    return f"helm get values {about.snapshot.release} -n {about.snapshot.namespace}"


def _uncreated(about: Workloads, pod: Object, name: str, reason: str, message: str) -> Finding:
    missing = re.search(r'(secret|configmap) "?([\w.-]+)"? not found', message)
    key = re.search(r"couldn't find key (\S+) in (Secret|ConfigMap) \S*?/?([\w.-]+)$", message)
    if missing:
        cause = f"There is no {_kind(missing[1])} {missing[2]} in this namespace."
        command = f"{about.kubectl} get {missing[1]} {missing[2]}"
    elif key:
        cause = f"The {key[2]} {key[3]} has no key {key[1]}."
        command = f"{about.kubectl} describe {key[2].lower()} {key[3]}"
    else:
        cause, command = message or reason, f"{about.kubectl} describe pod {name_of(pod)}"
    return Finding(
        Severity.CRITICAL, about.workload(pod), f"{name} cannot be created ({reason}).", cause, command
    )


def _stuck_mount(about: Workloads, pod: Object) -> Finding | None:
    """A container that waits for a volume says nothing itself; the kubelet's events do."""
    if (pod.get("status") or {}).get("phase") != "Pending":
        return None
    said = next(about.snapshot.said_of("Pod", name_of(pod), "FailedMount", "FailedAttachVolume"), None)
    if said is None:
        return None
    missing = re.search(r'(secret|configmap) "([\w.-]+)" not found', said)
    key = re.search(r"references non-existent (secret|config) key: ([\w.-]+)", said)
    if missing:
        problem = f"A pod cannot start: it mounts the {_kind(missing[1])} {missing[2]}, which does not exist."
        cause = "The name in the values is wrong, or it was never made in this namespace."
        command = f"{about.kubectl} get {missing[1]} {missing[2]}"
    elif key:
        kind = "secret" if key[1] == "secret" else "configmap"
        volume = re.search(r'volume "([\w.-]+)"', said)
        source = _source(pod, volume[1] if volume else "", kind)
        problem = f"A pod cannot start: the {_kind(kind)} {source} that it mounts has no key {key[2]}."
        cause = "Who made it left the key out; the chart's templates/credentials.yaml lists them all."
        command = f"{about.kubectl} describe {kind} {source}"
    else:
        problem, cause = "A pod cannot start: a volume cannot be mounted.", said
        command = f"{about.kubectl} describe pod {name_of(pod)}"
    return Finding(Severity.CRITICAL, about.workload(pod), problem, cause, command)


def _crashed(about: Workloads, pod: Object, container: Object, ended: Object) -> Finding:
    name, code = container["name"], ended.get("exitCode")
    log = about.snapshot.logs.get((name_of(pod), name), ())
    command = f"{about.kubectl} logs {name_of(pod)} -c {name} --previous"
    if ended.get("reason") == "OOMKilled":
        limit = _limit(pod, name, "memory")
        return Finding(
            Severity.CRITICAL,
            about.workload(pod),
            f"{name} was killed for want of memory (OOMKilled, exit code {code})"
            f" and restarted {container.get('restartCount', 0)} times.",
            f"It needs more than its limit of {limit or 'memory (none of its own: the node ran out)'}.",
            f"{command}  # then raise resources.limits.memory of the process",
        )
    said = f" Its last words: {' | '.join(log)}" if log else " It said nothing, or its log could not be read."
    return Finding(
        Severity.CRITICAL,
        about.workload(pod),
        f"{name} ends with exit code {code} again and again ({container.get('restartCount', 0)} restarts).",
        f"{_exit_code(code)}{said}",
        command,
        needs_bases=True,
    )


def _ended(about: Workloads, pod: Object, status: Object) -> Finding:
    return Finding(
        Severity.WARNING,
        about.workload(pod),
        f"A pod has failed ({status.get('reason') or 'no reason given'}).",
        status.get("message") or "It is kept for its log; its workload made another one.",
        f"{about.kubectl} describe pod {name_of(pod)}",
    )


def _restarted(about: Workloads, pod: Object, containers: list[Object]) -> Finding | None:
    """Ready now, but it was not always: somebody should know."""
    for container in containers:
        last = (container.get("lastState") or {}).get("terminated") or {}
        if container.get("restartCount", 0) >= RESTARTS_TOLD and last:
            reason = last.get("reason") or "Error"
            return Finding(
                Severity.HINT,
                about.workload(pod),
                f"{container['name']} is ready, after {container['restartCount']} restarts;"
                f" the last was {reason}, exit code {last.get('exitCode')}.",
                "It recovered by itself; if that goes on, its limits or its probes are too tight.",
                f"{about.kubectl} logs {name_of(pod)} -c {container['name']} --previous",
            )
    return None


def _unready(about: Workloads, pod: Object, containers: list[Object]) -> Finding:
    name = name_of(pod)
    young = _age_s(about, pod) < STARTS_WITHIN_S
    said = next(
        (
            message
            for message in about.snapshot.said_of("Pod", name, "Unhealthy", "ProbeWarning")
            if "probe failed" in message.lower() or "probe errored" in message.lower()
        ),
        "",
    )
    waiting = next((entry["name"] for entry in containers if not entry.get("ready", False)), "a container")
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
        about.workload(pod),
        problem,
        cause,
        f"{about.kubectl} logs {name} -c {waiting} --tail 20",
        needs_bases=True,
    )


def _age_s(about: Workloads, thing: Object) -> float:
    begun = (thing.get("status") or {}).get("startTime") or thing["metadata"].get("creationTimestamp")
    if not begun:
        return 0.0
    return (about.snapshot.at - datetime.fromisoformat(begun)).total_seconds()


# --- readings of a pod -----------------------------------------------------------------------------------------------


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
