"""The rules that cluster scanners hold charts to, over every rendered object of every profile.

Our own re-implementation, named by the upstream id (kube-linter 0.8, kube-score 1.20, Pod Security Standards, the NSA
guide's controls in kubescape), so that the charts are held to them where those programs are not installed. Which rule
stands for which upstream check is in upstream_checks.toml; `make policy` runs the programs themselves.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.charts.conftest import Object

Problems = Iterator[str]
OFFICIAL_USER = 999  # of the postgres and redis images: another uid would not own what they made in a volume


@dataclass(frozen=True)
class Workload:
    """What runs pods, with its pod template."""

    kind: str
    name: str
    object: Any
    labels: dict[str, str]
    pod: Any

    @property
    def containers(self) -> list[Any]:
        return [*self.pod.get("initContainers", []), *self.pod["containers"]]

    @property
    def lasting(self) -> bool:
        return self.kind in ("Deployment", "StatefulSet")


@dataclass(frozen=True)
class Render:
    profile: str
    objects: list[Any]
    workloads: list[Workload]

    def of(self, *kinds: str) -> list[Any]:
        return [thing for thing in self.objects if thing["kind"] in kinds]

    def names(self, kind: str) -> set[str]:
        return {thing["metadata"]["name"] for thing in self.of(kind)}

    def selected(self, selector: dict[str, str]) -> list[Workload]:
        return [work for work in self.workloads if selector.items() <= work.labels.items()]


@pytest.fixture
def render(objects: list[Object], profile: str) -> Render:
    return Render(profile, objects, [work for thing in objects for work in _workloads(thing)])


def _workloads(thing: Any) -> Iterator[Workload]:
    name = thing["metadata"]["name"]
    if thing["kind"] == "Pod":
        yield Workload("Pod", name, thing, thing["metadata"]["labels"], thing["spec"])
    elif thing["kind"] in ("Deployment", "StatefulSet", "Job"):
        template = thing["spec"]["template"]
        yield Workload(thing["kind"], name, thing, template["metadata"]["labels"], template["spec"])
    elif thing["kind"] == "CronJob":
        template = thing["spec"]["jobTemplate"]["spec"]["template"]
        yield Workload("CronJob", name, thing, template["metadata"]["labels"], template["spec"])


PerPod = Callable[[Workload], Problems]
PerContainer = Callable[[Any, Workload], Problems]
PerRender = Callable[[Render], Problems]
CHECKS: dict[str, PerRender] = {}
POD_RULES: set[str] = set()


def check(rule: str) -> Callable[[PerRender], PerRender]:
    """Register a check over a whole render; it yields what is wrong."""

    def register(function: PerRender) -> PerRender:
        CHECKS[rule] = function
        return function

    return register


def each_pod(rule: str) -> Callable[[PerPod], PerPod]:
    POD_RULES.add(rule)

    def register(function: PerPod) -> PerPod:
        CHECKS[rule] = lambda render: (
            f"{work.name}: {problem}" for work in render.workloads for problem in function(work)
        )
        return function

    return register


def each_container(rule: str) -> Callable[[PerContainer], PerContainer]:
    POD_RULES.add(rule)

    def register(function: PerContainer) -> PerContainer:
        CHECKS[rule] = lambda render: (
            f"{work.name}/{container['name']}: {problem}"
            for work in render.workloads
            for container in work.containers
            for problem in function(container, work)
        )
        return function

    return register


# --- what a container may do -----------------------------------------------------------------------------------------


@each_container("kube-linter:privilege-escalation-container")
def _(container: Any, _: Workload) -> Problems:
    if container["securityContext"].get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"


@each_container("kube-linter:privileged-container")
def _(container: Any, _: Workload) -> Problems:
    if container["securityContext"].get("privileged"):
        yield "is privileged"


@each_container("kube-linter:no-read-only-root-fs")
def _(container: Any, _: Workload) -> Problems:
    if container["securityContext"].get("readOnlyRootFilesystem") is not True:
        yield "can write to its image"


@each_container("kube-linter:drop-net-raw-capability pss-restricted:capabilities")
def _(container: Any, _: Workload) -> Problems:
    if container["securityContext"].get("capabilities") != {"drop": ["ALL"]}:
        yield "keeps capabilities"


@each_pod("kube-linter:run-as-non-root")
def _(work: Workload) -> Problems:
    if work.pod["securityContext"].get("runAsNonRoot") is not True:
        yield "may run as root"


@each_pod("kube-score:container-security-context-user-group-id")
def _(work: Workload) -> Problems:
    for key in ("runAsUser", "runAsGroup", "fsGroup"):
        official = all(
            re.match(r"postgres:|redis:|rclone/rclone:", container["image"]) for container in work.containers
        )
        if work.pod["securityContext"].get(key, 0) < 10_000 and not official:
            yield f"{key} may be a user of the host"
        elif work.pod["securityContext"][key] not in (OFFICIAL_USER, 10001):
            yield f"{key} is neither ours nor the official image's"


@each_pod("pss-restricted:seccomp")
def _(work: Workload) -> Problems:
    if work.pod["securityContext"].get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "no seccomp profile"


@each_pod("kube-linter:host-network,host-pid,host-ipc")
def _(work: Workload) -> Problems:
    yield from (key for key in ("hostNetwork", "hostPID", "hostIPC") if work.pod.get(key))


@each_pod("kube-linter:sensitive-host-mounts,docker-sock pss-restricted:volume-types")
def _(work: Workload) -> Problems:
    for volume in work.pod.get("volumes", []):
        if not {"emptyDir", "secret", "configMap", "persistentVolumeClaim"} & volume.keys():
            yield f"volume {volume['name']} is {set(volume)}"


@each_pod("kube-linter:unsafe-sysctls")
def _(work: Workload) -> Problems:
    if work.pod["securityContext"].get("sysctls"):
        yield "sets sysctls"


@each_container("kube-linter:privileged-ports,ssh-port")
def _(container: Any, _: Workload) -> Problems:
    for port in container.get("ports", []):
        if port["containerPort"] < 1024 or "hostPort" in port:
            yield f"port {port}"


# --- identity and secrets --------------------------------------------------------------------------------------------


@each_pod("kubescape:C-0034 automount-service-account-token")
def _(work: Workload) -> Problems:
    if work.pod.get("automountServiceAccountToken") is not False:
        yield "has an API token that it does not need"


@each_pod("kube-linter:default-service-account")
def _(work: Workload) -> Problems:
    if work.pod.get("serviceAccountName", "default") == "default":
        yield "runs as the default account"


@check("kube-linter:non-existent-service-account")
def _(render: Render) -> Problems:
    for work in render.workloads:
        if work.pod["serviceAccountName"] not in render.names("ServiceAccount"):
            yield f"{work.name}: {work.pod['serviceAccountName']}"


@check("kube-linter:access-to-secrets,wildcard-in-rules,cluster-admin-role-binding kubescape:C-0002 exec")
def _(render: Render) -> Problems:
    """Roles are for people; one that reads Secrets is the deployer's, and nobody may open a shell in a pod."""
    yield from (thing["metadata"]["name"] for thing in render.of("ClusterRole", "ClusterRoleBinding"))
    for role in render.of("Role"):
        name = role["metadata"]["name"]
        for rule in role["rules"]:
            if "*" in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]:
                yield f"{name}: a wildcard"
            if {"pods/exec", "pods/attach", "pods/ephemeralcontainers"} & set(rule["resources"]):
                yield f"{name}: a shell, and with it every secret that is mounted"
            if "secrets" in rule["resources"] and not name.endswith("-deployer"):
                yield f"{name}: reads secrets"
            makes = {"pods", "deployments", "statefulsets", "replicasets", "daemonsets", "jobs", "cronjobs"}
            if (
                "create" in rule["verbs"]
                and makes & set(rule["resources"])
                and not name.endswith("-deployer")
            ):
                yield f"{name}: makes pods, and with them reads every secret"
    accounts = {(thing["kind"], thing["metadata"]["name"]) for thing in render.of("ServiceAccount")}
    for binding in render.of("RoleBinding"):
        if accounts & {(subject["kind"], subject["name"]) for subject in binding["subjects"]}:
            yield f"{binding['metadata']['name']}: no process asks the Kubernetes API"


@each_container("kube-linter:env-var-secret,read-secret-from-env-var checkov:CKV_K8S_35")
def _(container: Any, _: Workload) -> Problems:
    for variable in container.get("env", []):
        if "secretKeyRef" in variable.get("valueFrom", {}):
            yield f"{variable['name']} is a secret in the environment"
        elif re.search(r"PASSWORD|TOKEN|SECRET(?!S_DIR)|_KEY$", variable["name"]) and not variable[
            "name"
        ].endswith("_FILE"):
            yield f"{variable['name']} looks like a secret"
    yield from (
        "a whole Secret in the environment"
        for source in container.get("envFrom", [])
        if "secretRef" in source
    )


@each_container("kube-linter:duplicate-env-var kube-score:environment-variable-key-duplication")
def _(container: Any, _: Workload) -> Problems:
    names = [variable["name"] for variable in container.get("env", [])]
    yield from {name for name in names if names.count(name) > 1}


@each_pod("kubescape:C-0261 service-links")
def _(work: Workload) -> Problems:
    """With them Kubernetes sets variables from service names, which settings would read."""
    if work.pod.get("enableServiceLinks") is not False:
        yield "gets a variable per service of the namespace"


# --- resources and images --------------------------------------------------------------------------------------------


@each_container("kube-linter:unset-cpu-requirements,unset-memory-requirements")
def _(container: Any, _: Workload) -> Problems:
    resources = container["resources"]
    yield from (f"no request for {name}" for name in ("cpu", "memory") if name not in resources["requests"])
    if "memory" not in resources["limits"]:
        yield "no memory limit"


@each_container("design:no-cpu-limit")
def _(container: Any, _: Workload) -> Problems:
    """A CPU limit stops a process for the rest of each 100 ms once it was quick: the tail of every payment."""
    if "cpu" in container["resources"]["limits"]:
        yield "is throttled"


@each_container("kube-score:container-ephemeral-storage-request-and-limit")
def _(container: Any, _: Workload) -> Problems:
    for part in ("requests", "limits"):
        if "ephemeral-storage" not in container["resources"][part]:
            yield f"no ephemeral-storage in {part}"


@each_container("kube-linter:latest-tag kube-score:container-image-tag")
def _(container: Any, _: Workload) -> Problems:
    if not re.fullmatch(r"[\w./-]+:(?!latest)[\w.-]+(@sha256:[0-9a-f]{64})?", container["image"]):
        yield container["image"]


@each_container("kube-score:container-image-pull-policy (kind: images are loaded, not pulled)")
def _(container: Any, _: Workload) -> Problems:
    if container["imagePullPolicy"] != "IfNotPresent":
        yield f"{container['imagePullPolicy']} would look for a registry"


@check("checkov:CKV_K8S_43 image-digest (production)")
def _(render: Render) -> Problems:
    if render.profile == "production":
        yield from (
            f"{work.name}: {container['image']}"
            for work in render.workloads
            for container in work.containers
            if "@sha256:" not in container["image"]
        )


@each_pod("kube-linter:deprecated-service-account-field")
def _(work: Workload) -> Problems:
    if "serviceAccount" in work.pod:
        yield "names its account in the field of old"


@each_pod("kube-linter:restart-policy kube-score:cronjob-restartpolicy")
def _(work: Workload) -> Problems:
    """A Job's pod that fails for a moment's reason goes on where it was; a test pod runs once."""
    wanted = {"Pod": ("Never",), "Job": ("OnFailure", "Never"), "CronJob": ("OnFailure", "Never")}
    if work.pod.get("restartPolicy", "Always") not in wanted.get(work.kind, ("Always",)):
        yield f"a {work.kind} whose pods restart {work.pod.get('restartPolicy')}"


@each_container("kube-linter:unsafe-proc-mount")
def _(container: Any, _: Workload) -> Problems:
    if container["securityContext"].get("procMount", "Default") != "Default":
        yield "sees the host's /proc"


@each_pod("polaris:hostProcess")
def _(work: Workload) -> Problems:
    if work.pod["securityContext"].get("windowsOptions", {}).get("hostProcess"):
        yield "is a process of a Windows host"


@each_container("kube-score:container-ports-check")
def _(container: Any, _: Workload) -> Problems:
    names = [port.get("name", "") for port in container.get("ports", [])]
    if "" in names or len(set(names)) < len(names):
        yield f"ports without a name of their own: {names}"


@check("kube-linter:env-value-from")
def _(render: Render) -> Problems:
    """A key that is not there keeps the container from being created."""
    maps = {thing["metadata"]["name"]: thing.get("data", {}) for thing in render.of("ConfigMap")}
    for work in render.workloads:
        for container in work.containers:
            for variable in container.get("env", []):
                asked = variable.get("valueFrom", {}).get("configMapKeyRef")
                if asked and asked["key"] not in maps.get(asked["name"], {}):
                    yield f"{work.name}: {variable['name']}"
            for source in container.get("envFrom", []):
                if source.get("configMapRef", {}).get("name") not in maps:
                    yield f"{work.name}: {source}"


@check("polaris:sensitiveConfigmapContent")
def _(render: Render) -> Problems:
    for thing in render.of("ConfigMap"):
        for key, value in thing.get("data", {}).items():
            names_one = re.search(r"(?i)password|token|bearer|secret(?!s_dir)", key) and not key.endswith(
                "_FILE"
            )
            if names_one or re.search(r"-BEGIN .*PRIVATE KEY-", value):
                yield f"{thing['metadata']['name']}: {key}"


# --- health and life -------------------------------------------------------------------------------------------------


@check("kube-linter:no-liveness-probe,no-readiness-probe")
def _(render: Render) -> Problems:
    for work in render.workloads:
        for container in work.containers if work.lasting else ():
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                if probe not in container:
                    yield f"{work.name}: no {probe}"


@each_container("kube-score:pod-probes-identical")
def _(container: Any, _: Workload) -> Problems:
    if "livenessProbe" in container:
        doors = [
            container[probe].get("httpGet", {}).get("path") for probe in ("livenessProbe", "readinessProbe")
        ]
        if doors[0] is not None and doors[0] == doors[1]:
            yield "what restarts it is what takes traffic away from it"


@each_container("kube-linter:liveness-port,readiness-port,startup-port")
def _(container: Any, _: Workload) -> Problems:
    ports = {port.get("name") for port in container.get("ports", [])}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        for way in ("httpGet", "tcpSocket"):
            port = container.get(probe, {}).get(way, {}).get("port")
            if port is not None and port not in ports:
                yield f"{probe} asks {port}"


@check("kube-linter:no-rolling-update-strategy design:max-unavailable-0")
def _(render: Render) -> Problems:
    for thing in render.of("Deployment"):
        if thing["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] != 0:
            yield thing["metadata"]["name"]


@each_container("design:prestop-covers-endpoint-removal")
def _(container: Any, work: Workload) -> Problems:
    """Whoever is behind a Service goes on serving while the endpoint is being taken away; native sleep, no shell."""
    serves = any(port.get("name") == "http" for port in container.get("ports", []))
    pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    if serves and not 3 <= pause < work.pod["terminationGracePeriodSeconds"] - 35:
        yield f"preStop {pause} s within a grace of {work.pod['terminationGracePeriodSeconds']} s"


@check("kube-linter:job-ttl-seconds-after-finished")
def _(render: Render) -> Problems:
    for thing in render.of("Job", "CronJob"):
        job = thing["spec"].get("jobTemplate", thing)["spec"]
        if "ttlSecondsAfterFinished" not in job:
            yield thing["metadata"]["name"]


@check("kube-score:cronjob-has-deadline design:cronjobs-do-not-overlap")
def _(render: Render) -> Problems:
    for thing in render.of("CronJob"):
        spec = thing["spec"]
        if not spec.get("suspend") and "startingDeadlineSeconds" not in spec:
            yield f"{thing['metadata']['name']}: no deadline"
        if (
            spec["concurrencyPolicy"] != "Forbid"
            or "activeDeadlineSeconds" not in spec["jobTemplate"]["spec"]
        ):
            yield f"{thing['metadata']['name']}: may overlap"


@check("design:only-tests-are-hooks")
def _(render: Render) -> Problems:
    """A pre-install hook would wait for a database that is in the same release."""
    for thing in render.objects:
        hook = thing["metadata"].get("annotations", {}).get("helm.sh/hook", "test")
        if hook != "test":
            yield f"{thing['metadata']['name']}: {hook}"


# --- scale and disruption --------------------------------------------------------------------------------------------


@check("kube-score:deployment-targeted-by-hpa-does-not-have-replicas-configured")
def _(render: Render) -> Problems:
    scalers = render.of("HorizontalPodAutoscaler", "ScaledObject")
    scaled = {scaler["spec"]["scaleTargetRef"]["name"] for scaler in scalers}
    for thing in render.of("Deployment"):
        if (thing["metadata"]["name"] in scaled) == ("replicas" in thing["spec"]):
            yield thing["metadata"]["name"]


@check("kube-linter:dangling-horizontalpodautoscaler kube-score:horizontalpodautoscaler-has-target")
def _(render: Render) -> Problems:
    for scaler in render.of("HorizontalPodAutoscaler"):
        if scaler["spec"]["scaleTargetRef"]["name"] not in render.names("Deployment"):
            yield scaler["metadata"]["name"]


@check("design:hpa-cpu-memory-and-behavior")
def _(render: Render) -> Problems:
    for scaler in render.of("HorizontalPodAutoscaler"):
        metrics = {metric["resource"]["name"] for metric in scaler["spec"]["metrics"]}
        if metrics != {"cpu", "memory"} or not {"scaleUp", "scaleDown"} <= scaler["spec"]["behavior"].keys():
            yield scaler["metadata"]["name"]


@check("kube-linter:minimum-three-replicas,hpa-minimum-three-replicas (production)")
def _(render: Render) -> Problems:
    if render.profile == "production":
        for thing in render.of("Deployment"):
            if thing["spec"].get("replicas", 3) < 3:
                yield thing["metadata"]["name"]
        for thing in render.of("HorizontalPodAutoscaler"):
            if thing["spec"]["minReplicas"] < 3:
                yield thing["metadata"]["name"]


@check("kube-linter:no-anti-affinity kube-score:deployment-has-host-podantiaffinity")
def _(render: Render) -> Problems:
    wanted = {"kubernetes.io/hostname": "ScheduleAnyway"}  # a laptop's nodes have no zones
    if render.profile == "production":
        wanted = dict.fromkeys(("kubernetes.io/hostname", "topology.kubernetes.io/zone"), "DoNotSchedule")
    for work in render.workloads:
        if work.kind == "Deployment":
            spread = {
                rule["topologyKey"]: rule["whenUnsatisfiable"]
                for rule in work.pod["topologySpreadConstraints"]
            }
            if spread != wanted:
                yield f"{work.name}: {spread}"


@check("kube-linter:pdb-max-unavailable,pdb-min-available,pdb-unhealthy-pod-eviction-policy")
def _(render: Render) -> Problems:
    for budget in render.of("PodDisruptionBudget"):
        spec = budget["spec"]
        if spec.get("maxUnavailable") != 1 or spec.get("unhealthyPodEvictionPolicy") != "AlwaysAllow":
            yield budget["metadata"]["name"]


@check("kube-score:deployment-has-poddisruptionbudget, and none where one pod would block every drain")
def _(render: Render) -> Problems:
    minimum = {
        s["spec"]["scaleTargetRef"]["name"]: s["spec"].get("minReplicas") or s["spec"]["minReplicaCount"]
        for s in render.of("HorizontalPodAutoscaler", "ScaledObject")
    }
    for thing in render.of("Deployment"):
        name = thing["metadata"]["name"]
        if (name in render.names("PodDisruptionBudget")) != (
            minimum.get(name, thing["spec"].get("replicas")) > 1
        ):
            yield name


@check("kube-score:horizontalpodautoscaler-replicas polaris:hpaMaxAvailability")
def _(render: Render) -> Problems:
    for scaler in render.of("HorizontalPodAutoscaler"):
        if scaler["spec"]["maxReplicas"] <= scaler["spec"]["minReplicas"]:
            yield f"{scaler['metadata']['name']} cannot scale"


# --- wiring ----------------------------------------------------------------------------------------------------------


@check("kube-linter:mismatching-selector")
def _(render: Render) -> Problems:
    for thing in render.of("Deployment", "StatefulSet"):
        labels = thing["spec"]["template"]["metadata"]["labels"]
        if not thing["spec"]["selector"]["matchLabels"].items() <= labels.items():
            yield thing["metadata"]["name"]


@check("kube-linter:dangling-service,invalid-target-ports kube-score:service-targets-pod")
def _(render: Render) -> Problems:
    for service in render.of("Service"):
        targets = render.selected(service["spec"]["selector"])
        if service["spec"].get("clusterIP") == "None":  # for metrics: every process of a service
            targets = targets[:1]
        if len(targets) != 1:
            yield f"{service['metadata']['name']} selects {[work.name for work in targets]}"
        ports = {port["name"] for work in targets for c in work.containers for port in c["ports"]}
        yield from (f"{port}" for port in service["spec"]["ports"] if port["targetPort"] not in ports)
    for budget in render.of("PodDisruptionBudget"):
        if len(render.selected(budget["spec"]["selector"]["matchLabels"])) != 1:
            yield budget["metadata"]["name"]


@check("design:no-two-workloads-share-a-selector")
def _(render: Render) -> Problems:
    for thing in render.of("Deployment", "StatefulSet"):
        if len(render.selected(thing["spec"]["selector"]["matchLabels"])) != 1:
            yield thing["metadata"]["name"]


@check("kube-score:statefulset-has-servicename")
def _(render: Render) -> Problems:
    yield from (
        s["metadata"]["name"]
        for s in render.of("StatefulSet")
        if s["spec"]["serviceName"] not in render.names("Service")
    )


@check("kube-linter:exposed-services (no LoadBalancer; NodePort only on the laptop)")
def _(render: Render) -> Problems:
    allowed = {"ClusterIP"} if render.profile == "production" else {"ClusterIP", "NodePort"}
    for service in render.of("Service"):
        if service["spec"].get("type", "ClusterIP") not in allowed:
            yield service["metadata"]["name"]


@check("kube-linter:use-namespace (the other way round: whoever installs chooses it)")
def _(render: Render) -> Problems:
    yield from (thing["metadata"]["name"] for thing in render.objects if "namespace" in thing["metadata"])


@check("kube-score:label-values design:recommended-labels")
def _(render: Render) -> Problems:
    for thing in render.objects:
        labels = thing["metadata"].get("labels", {})
        if (
            not {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/part-of"}
            <= labels.keys()
        ):
            yield f"{thing['kind']} {thing['metadata']['name']}: {labels}"
        yield from (
            f"{value}"
            for value in labels.values()
            if not re.fullmatch(r"[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?", value)
        )


@check("design:claims-keep-their-data-and-name-no-version")
def _(render: Render) -> Problems:
    for thing in render.of("StatefulSet"):
        if thing["spec"]["persistentVolumeClaimRetentionPolicy"] != {
            "whenDeleted": "Retain",
            "whenScaled": "Retain",
        }:
            yield f"{thing['metadata']['name']}: retention"
        for claim in thing["spec"]["volumeClaimTemplates"]:
            if {"helm.sh/chart", "app.kubernetes.io/version"} & claim["metadata"].get("labels", {}).keys():
                yield f"{thing['metadata']['name']}: a version in an immutable field"


@check("kube-linter:no-extensions-v1beta kube-score:stable-version")
def _(render: Render) -> Problems:
    """Of Kubernetes' own groups: those of operators have versions of their own."""
    for thing in render.objects:
        group, _, version = thing["apiVersion"].rpartition("/")
        if ("." not in group or group.endswith(".k8s.io")) and re.search(r"alpha|beta", version):
            yield f"{thing['metadata']['name']}: {thing['apiVersion']}"


@check("kube-linter:non-isolated-pod kube-score:pod-networkpolicy polaris:missingNetworkPolicy")
def _(render: Render) -> Problems:
    """Each pod is selected for both directions, be it by a policy that allows nothing."""
    for work in render.workloads:
        ways = {
            way
            for policy in render.of("NetworkPolicy")
            if policy["spec"]["podSelector"].get("matchLabels", {}).items() <= work.labels.items()
            for way in policy["spec"]["policyTypes"]
        }
        if ways != {"Ingress", "Egress"}:
            yield f"{work.name}: {sorted(ways)}"


@check(
    "kube-linter:dangling-networkpolicy,dangling-networkpolicypeer-podselector kube-score:networkpolicy-targets-pod"
)
def _(render: Render) -> Problems:
    for policy in render.of("NetworkPolicy"):
        name, spec = policy["metadata"]["name"], policy["spec"]
        if not render.selected(spec["podSelector"].get("matchLabels", {})):
            yield f"{name} is for nobody"
        for rule in [*spec.get("ingress", []), *spec.get("egress", [])]:
            for peer in [*rule.get("from", []), *rule.get("to", [])]:
                ours = "podSelector" in peer and "namespaceSelector" not in peer
                if ours and not render.selected(peer["podSelector"].get("matchLabels", {})):
                    yield f"{name} lets nobody in: {peer}"


@check("kube-linter:dangling-servicemonitor")
def _(render: Render) -> Problems:
    for monitor in render.of("ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"]
        if not any(wanted.items() <= thing["metadata"]["labels"].items() for thing in render.of("Service")):
            yield monitor["metadata"]["name"]


@check("polaris:httpRouteCrossNamespaceBackendRef")
def _(render: Render) -> Problems:
    for route in render.of("HTTPRoute"):
        for rule in route["spec"]["rules"]:
            for backend in rule.get("backendRefs", []):
                if "namespace" in backend:
                    yield f"{route['metadata']['name']}: {backend}"


@pytest.mark.parametrize("rule", CHECKS)
def test_every_object_keeps(rule: str, render: Render) -> None:
    assert list(CHECKS[rule](render)) == []


BAD_CONTAINER = {
    "name": "bad",
    "image": "bad:latest",
    "imagePullPolicy": "Always",
    "securityContext": {"privileged": True, "procMount": "Unmasked"},
    "resources": {"requests": {}, "limits": {"cpu": "1"}},
    "ports": [{"name": "http", "containerPort": 80}, {"containerPort": 22}],
    "env": [{"name": "API_TOKEN", "value": "x"}, {"name": "API_TOKEN", "value": "y"}],
    "livenessProbe": {"httpGet": {"path": "/", "port": "gone"}},
    "readinessProbe": {"httpGet": {"path": "/", "port": "gone"}},
}
BAD_POD = {
    "containers": [BAD_CONTAINER],
    "securityContext": {
        "sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}],
        "windowsOptions": {"hostProcess": True},
    },
    "serviceAccount": "default",
    "restartPolicy": "Never",
    "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
    "hostNetwork": True,
    "terminationGracePeriodSeconds": 30,
}


@pytest.mark.parametrize("rule", sorted(POD_RULES))
def test_a_rule_about_pods_complains_about_a_bad_one(rule: str) -> None:
    """A check that cannot fail proves nothing."""
    bad = Workload("Deployment", "bad", {}, {}, BAD_POD)
    assert list(CHECKS[rule](Render("production", [], [bad])))


def _thing(
    kind: str, spec: Any = None, *, labels: Any = None, api: str = "v1", name: str = "bad", **more: Any
) -> Any:
    metadata = {"name": name, "labels": labels or {}}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec or {}, **more}


_CONTAINER = {
    "name": "bad",
    "image": "bad:1",
    "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "gone", "key": "A"}}}],
    "ports": [{"name": "http", "containerPort": 8000}],
}
_POD = {
    "metadata": {"labels": {"app": "bad"}},
    "spec": {"serviceAccountName": "gone", "topologySpreadConstraints": [], "containers": [_CONTAINER]},
}
_DEPLOYMENT = _thing(
    "Deployment",
    {
        "replicas": 1,
        "strategy": {"rollingUpdate": {"maxUnavailable": 1}},
        "selector": {"matchLabels": {"app": "other"}},
        "template": _POD,
    },
)
_STATEFUL_SET = _thing(
    "StatefulSet",
    {
        "serviceName": "gone",
        "selector": {"matchLabels": {"app": "bad"}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Retain"},
        "volumeClaimTemplates": [],
        "template": _POD,
    },
)
_CRONJOB = _thing("CronJob", {"concurrencyPolicy": "Allow", "jobTemplate": {"spec": {"template": _POD}}})
_SCALER = _thing(
    "HorizontalPodAutoscaler",
    {
        "minReplicas": 2,
        "maxReplicas": 2,
        "scaleTargetRef": {"name": "bad"},
        "metrics": [{"resource": {"name": "cpu"}}],
        "behavior": {},
    },
)
_BUDGET = _thing("PodDisruptionBudget", {"minAvailable": 1, "selector": {"matchLabels": {"app": "bad"}}})
_ROLE = _thing(
    "Role", name="bad", rules=[{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}]
)
_SERVICE = _thing("Service", {"type": "LoadBalancer", "selector": {"app": "nobody"}, "ports": []})
_POLICY = _thing(
    "NetworkPolicy", {"podSelector": {"matchLabels": {"app": "nobody"}}, "policyTypes": ["Ingress"]}
)
_HOOK = _thing("Job", {"template": _POD})
_HOOK["metadata"]["annotations"] = {"helm.sh/hook": "pre-install"}
_ELSEWHERE = _thing("ConfigMap", data={"API_TOKEN": "x"})
_ELSEWHERE["metadata"]["namespace"] = "default"
_ROUTE = _thing("HTTPRoute", {"rules": [{"backendRefs": [{"name": "x", "namespace": "other"}]}]})

# The smallest manifest that each rule over a whole render refuses, by the rule's first name.
CONTROLS: dict[str, list[Any]] = {
    "kube-linter:non-existent-service-account": [_DEPLOYMENT],
    "kube-linter:access-to-secrets": [_ROLE],
    "checkov:CKV_K8S_43": [_DEPLOYMENT],
    "kube-linter:env-value-from": [_DEPLOYMENT],
    "polaris:sensitiveConfigmapContent": [_ELSEWHERE],
    "kube-linter:no-liveness-probe": [_DEPLOYMENT],
    "kube-linter:no-rolling-update-strategy": [_DEPLOYMENT],
    "kube-linter:job-ttl-seconds-after-finished": [_HOOK],
    "kube-score:cronjob-has-deadline": [_CRONJOB],
    "design:only-tests-are-hooks": [_HOOK],
    "kube-score:deployment-targeted-by-hpa-does-not-have-replicas-configured": [_DEPLOYMENT, _SCALER],
    "kube-linter:dangling-horizontalpodautoscaler": [_SCALER],
    "design:hpa-cpu-memory-and-behavior": [_SCALER],
    "kube-score:horizontalpodautoscaler-replicas": [_SCALER],
    "kube-linter:minimum-three-replicas": [_DEPLOYMENT],
    "kube-linter:no-anti-affinity": [_DEPLOYMENT],
    "kube-linter:pdb-max-unavailable": [_BUDGET],
    "kube-score:deployment-has-poddisruptionbudget": [_DEPLOYMENT, _BUDGET],
    "kube-linter:mismatching-selector": [_DEPLOYMENT],
    "kube-linter:dangling-service": [_SERVICE],
    "design:no-two-workloads-share-a-selector": [_STATEFUL_SET, _DEPLOYMENT],
    "kube-score:statefulset-has-servicename": [_STATEFUL_SET],
    "kube-linter:exposed-services": [_SERVICE],
    "kube-linter:use-namespace": [_ELSEWHERE],
    "kube-score:label-values": [_thing("ConfigMap", labels={"x": "not a label"})],
    "design:claims-keep-their-data-and-name-no-version": [_STATEFUL_SET],
    "kube-linter:no-extensions-v1beta": [_thing("Deployment", _DEPLOYMENT["spec"], api="extensions/v1beta1")],
    "kube-linter:non-isolated-pod": [_DEPLOYMENT, _POLICY],
    "kube-linter:dangling-networkpolicy": [_POLICY],
    "kube-linter:dangling-servicemonitor": [
        _thing("ServiceMonitor", {"selector": {"matchLabels": {"a": "b"}}})
    ],
    "polaris:httpRouteCrossNamespaceBackendRef": [_ROUTE],
}


def first_name(rule: str) -> str:
    return re.split(r"[ ,]", rule)[0]


@pytest.mark.parametrize("rule", [rule for rule in CHECKS if rule not in POD_RULES])
def test_a_rule_about_a_render_refuses_its_control(rule: str) -> None:
    things = CONTROLS[first_name(rule)]
    broken = Render("production", things, [work for thing in things for work in _workloads(thing)])
    assert list(CHECKS[rule](broken))


# --- every check of the tools ----------------------------------------------------------------------------------------

HERE = Path(__file__).parent
UPSTREAM = tomllib.loads((HERE / "upstream_checks.toml").read_text(encoding="utf-8"))


def test_the_names_of_rules_are_names_that_the_tools_know() -> None:
    named = {
        (tool, name)
        for rule in CHECKS
        for tool, names in re.findall(r"(kube-linter|kube-score|polaris):([\w,-]+)", rule)
        for name in names.strip(",").split(",")
    }
    assert {(tool, name) for tool, name in named if name not in UPSTREAM[tool]} == set()


@pytest.mark.parametrize("tool", UPSTREAM)
def test_every_upstream_check_is_held_or_has_a_reason(tool: str) -> None:
    rules = {first_name(rule) for rule in CHECKS}
    for upstream, held_by in UPSTREAM[tool].items():
        word, _, rest = held_by.partition(": ")
        if word == "elsewhere":
            assert (HERE.parents[1] / rest).is_file(), upstream
        elif word in ("absent", "not applicable"):
            assert rest, upstream
        else:
            assert held_by in rules, f"{upstream}: there is no rule {held_by}"


def test_kinds_that_make_a_check_idle_are_in_no_render(render: Render) -> None:
    absent = {
        held_by.removeprefix("absent: ")
        for checks in UPSTREAM.values()
        for held_by in checks.values()
        if held_by.startswith("absent: ")
    }
    assert absent
    assert absent & {thing["kind"] for thing in render.objects} == set()
