"""Load from inside the cluster: off unless asked for, with its edges, and holding no more than it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.charts.test_credentials import secret_items
from tests.charts.test_network import EDGES, Graph

from loadtests.profile import names

if TYPE_CHECKING:
    from tests.charts.conftest import Helm, Object

ON = "loadgen.enabled=true"


def mine(objects: list[Object]) -> dict[str, Object]:
    return {
        thing["kind"] + "/" + thing["metadata"]["name"]: thing
        for thing in objects
        if "loadgen" in str(thing["metadata"])
    }


def pod_of(objects: list[Object], kind: str) -> Any:
    return next(thing for thing in mine(objects).values() if thing["kind"] == kind)["spec"]["template"][
        "spec"
    ]


def test_it_is_off_by_default(helm: Helm) -> None:
    assert mine(helm.template()) == {}


def test_every_profile_of_the_load_tests_can_be_chosen(helm: Helm) -> None:
    for name in names():
        (container,) = pod_of(helm.template("--set", ON, "--set", f"loadgen.profile={name}"), "Job")[
            "containers"
        ]
        assert container["args"][:5] == ["python", "-m", "loadtests", "run", name]


def test_the_load_opens_its_own_edges_and_no_others(helm: Helm) -> None:
    graph = Graph(helm.template("--set", f"{ON},loadgen.webhooks=true"))
    master = next(name for name in graph.pods if name.startswith("loadgen-master"))
    edges = graph.edges()
    witnesses = {"payment-gateway-api", "data-pipeline-api", "channels"}
    assert {target for source, target in edges if source == master} == witnesses
    assert {target for source, target in edges if source == "loadgen-worker"} == {
        master,
        "payment-gateway-api",
    }
    assert {source for source, target in edges if target == master} == {
        "loadgen-worker",
        "payment-gateway-worker",
    }
    others = {(source, target) for source, target in edges if source in EDGES and target in EDGES}
    assert others == {edge for edge in Graph(helm.template()).edges() if edge[0] in EDGES}


def test_without_webhooks_nothing_of_the_platform_may_call_the_load(helm: Helm) -> None:
    graph = Graph(helm.template("--set", ON))
    master = next(name for name in graph.pods if name.startswith("loadgen-master"))
    assert {source for source, target in graph.edges() if target == master} == {"loadgen-worker"}


def test_only_the_master_holds_secrets_and_only_the_two_that_the_audit_needs(helm: Helm) -> None:
    objects = helm.template("--set", ON)
    assert {item["path"] for item in secret_items(pod_of(objects, "Job"))} == {
        "admin_api_key",
        "internal_token",
    }
    assert (
        secret_items(
            pod_of([thing for thing in objects if "loadgen" in thing["metadata"]["name"]], "Deployment")
        )
        == []
    )


def test_another_profile_and_another_run_are_another_job_and_the_same_one_is_kept(helm: Helm) -> None:
    def job(*values: str) -> str:
        return next(
            name for name in mine(helm.template("--set", ",".join([ON, *values]))) if name.startswith("Job/")
        )

    assert job() == job()
    assert len({job(), job("loadgen.profile=spike"), job("loadgen.run=2"), job("loadgen.workers=3")}) == 4


def test_as_many_workers_as_the_master_waits_for(helm: Helm) -> None:
    objects = helm.template("--set", f"{ON},loadgen.workers=5")
    (container,) = pod_of(objects, "Job")["containers"]
    assert container["args"][container["args"].index("--workers") + 1] == "5"
    assert mine(objects)["Deployment/platform-loadgen-worker"]["spec"]["replicas"] == 5


def test_a_run_is_not_repeated_when_its_verdict_is_bad(helm: Helm) -> None:
    job = next(thing for name, thing in mine(helm.template("--set", ON)).items() if name.startswith("Job/"))
    assert job["spec"]["backoffLimit"] == 0
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
