"""The Secret is made once and never again; without a cluster (GitOps, a dry run) it is left alone.

What `lookup` finds only a cluster shows: tests/kind compares the Secret over install, upgrade, rollback and uninstall.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from tests.charts.conftest import Helm, Object

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "umbrella-chart" / "templates" / "credentials.yaml"

VAULT = {"vault_app_password", "vault_keys", "vault_fingerprint_key"}  # of the two processes that open cards

FILES = {
    "postgres": {
        "postgres_password",
        *(
            f"{schema}_{role}_password"
            for schema in ("payments", "risk", "pipeline", "vault")
            for role in ("owner", "app")
        ),
        "platform_backup_password",
    },
    "backup": {"platform_backup_password"},
    "backup-first": {"platform_backup_password"},
    "backup-drill": set(),
    "backup-restore": {"postgres_password"},
    "redis": {"redis_password"},
    "migrate": {"migration_database_password"},
    "payment-gateway-migrate": {"migration_database_password", "vault_owner_password"},
    "first-payment": {"admin_api_key"},
    "payment-gateway-api": {
        "database_password",
        "redis_password",
        "internal_token",
        "admin_api_key",
        "channel_secret",
        *VAULT,
    },
    "payment-gateway-worker": {
        "database_password",
        "redis_password",
        "internal_token",
        "channel_secret",
        *VAULT,
    },
    "payment-gateway-relay": {"database_password", "redis_password"},
    "channels": {"channel_secret", "internal_token"},
    "risk-engine-api": {"database_password", "redis_password", "internal_token", "risk_fingerprint_keys"},
    "risk-engine-worker": {"database_password", "redis_password", "internal_token", "risk_fingerprint_keys"},
    "risk-engine-consumer": {
        "database_password",
        "redis_password",
        "internal_token",
        "risk_fingerprint_keys",
    },
    "risk-engine-relay": {"database_password", "redis_password"},
    "data-pipeline-api": {"database_password", "redis_password", "internal_token"},
    "data-pipeline-worker": {"database_password", "redis_password", "internal_token"},
    "data-pipeline-consumer": {"database_password", "redis_password", "internal_token"},
}


def pods(objects: list[Object]) -> dict[str, Object]:
    """Pod spec by the short name of what owns it."""
    found = {}
    for thing in objects:
        name = re.sub(r"^platform-|(?:(?<=-migrate)|(?<=-first))-\w{10}$", "", thing["metadata"]["name"])
        if thing["kind"] == "Job":
            found[name] = thing["spec"]["template"]["spec"]
        elif thing["kind"] == "CronJob":
            found[name] = thing["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        elif thing["kind"] in ("Deployment", "StatefulSet"):
            found[name] = thing["spec"]["template"]["spec"]
        elif thing["kind"] == "Pod":
            found[name] = thing["spec"]
    return found


def secret_items(pod: Object) -> list[dict[str, str]]:
    return [item for volume in pod["volumes"] if "secret" in volume for item in volume["secret"]["items"]]


def test_each_pod_mounts_only_the_keys_that_it_needs(helm: Helm) -> None:
    for name, pod in pods(helm.template()).items():
        expected = FILES.get(name, FILES["migrate"])
        assert {item["path"] for item in secret_items(pod)} == expected, name


def test_an_owner_password_is_only_in_postgres_and_in_its_migration(helm: Helm) -> None:
    for name, pod in pods(helm.template()).items():
        owners = {item["key"] for item in secret_items(pod) if item["key"].endswith("_owner_password")}
        if name.endswith("-migrate"):
            schemas = {
                "payment-gateway": {"payments", "vault"},
                "risk-engine": {"risk"},
                "data-pipeline": {"pipeline"},
            }
            own = schemas[name.removesuffix("-migrate")]
            assert owners == {f"{schema}_owner_password" for schema in own}
        elif name != "postgres":
            assert owners == set(), name


def test_every_mounted_key_is_one_that_the_chart_generates(helm: Helm) -> None:
    listed = (ROOT / "umbrella-chart" / "templates" / "_names.tpl").read_text()
    generated = set(re.findall(r"^- (\w+)$", listed, re.M))
    mounted = {item["key"] for pod in pods(helm.template()).values() for item in secret_items(pod)}
    assert mounted == generated


def test_without_a_cluster_no_secret_is_rendered(helm: Helm) -> None:
    """A GitOps controller renders so: random values here would change every password at each of its syncs."""
    assert [thing for thing in helm.template() if thing["kind"] == "Secret"] == []


def test_two_renders_are_equal(helm: Helm) -> None:
    chart = str(ROOT / "umbrella-chart")
    assert helm.run("template", "platform", chart).stdout == helm.run("template", "platform", chart).stdout


def test_an_upgrade_that_finds_no_secret_fails_instead_of_making_one(helm: Helm) -> None:
    refusal = helm.refusal("--is-upgrade")
    assert 'Secret "platform-credentials" is not in namespace "default"' in refusal
    assert "global.secrets.mode=existing" in refusal


def test_an_upgrade_keeps_every_key_and_makes_those_that_are_new(helm: Helm, tmp_path: Path) -> None:
    """The template by itself; what it looks up is among its values here."""
    template = TEMPLATE.read_text()
    for looked_up, told in (
        ('lookup "v1" "Secret" .Release.Namespace $name', ".Values.found"),
        ('lookup "v1" "Secret" .Release.Namespace ""', ".Values.cluster"),
    ):
        assert looked_up in template
        template = template.replace(looked_up, told)
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/credentials.yaml").write_text(template)
    (tmp_path / "templates/_names.tpl").write_text((TEMPLATE.parent / "_names.tpl").read_text())
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: payment-platform, version: 1.0.0}")
    values = tmp_path / "values.yaml"

    def made(found: dict[str, str], *args: str) -> dict[str, str]:
        given = {"global": {"secrets": {"mode": "generate"}}, "postgres": {"enabled": False}}
        here = {"cluster": {"items": []}, "found": {"data": found} if found else {}}
        values.write_text(yaml.safe_dump(given | here))
        [secret] = helm.template("--values", str(values), *args, chart=tmp_path)
        return dict(secret["data"])

    first = made({})
    key = base64.b64decode(first["risk_fingerprint_keys"]).decode()
    assert re.fullmatch(r"k1:\w{40}", key), "as risk_engine.domain.fingerprints reads it"
    assert made(first, "--is-upgrade") == first
    older = {name: value for name, value in first.items() if name != "risk_fingerprint_keys"}
    upgraded = made(older, "--is-upgrade")
    assert upgraded.keys() == first.keys()
    assert upgraded.items() >= older.items()


def test_with_an_existing_secret_nothing_is_looked_up_or_made(helm: Helm) -> None:
    objects = helm.template(
        "--is-upgrade", "--set", "global.secrets.mode=existing,global.secrets.name=vault-made"
    )
    assert [thing for thing in objects if thing["kind"] == "Secret"] == []
    for name, pod in pods(objects).items():
        names = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
        assert names == ({"vault-made"} if name != "backup-drill" else set()), name


def test_one_chart_may_have_a_secret_of_its_own(helm: Helm) -> None:
    """So that whoever runs one service sees that service's keys and no others."""
    for chart, name in (
        ("risk-engine", "risk-engine-api"),
        ("postgres", "postgres"),
        ("redis", "redis"),
        ("backup", "backup"),
    ):
        found = pods(helm.template("--set", f"{chart}.existingSecret=own"))
        names = {volume["secret"]["secretName"] for volume in found[name]["volumes"] if "secret" in volume}
        assert names == {"own"}, chart
        assert "own" not in str(found["payment-gateway-api"]["volumes"])


VAULTED = ("--set", "global.secrets.mode=external,global.secrets.external.store=vault")
HAS_OPERATOR = ("--api-versions", "external-secrets.io/v1")


def test_the_operator_is_asked_for_every_key_by_name(helm: Helm) -> None:
    objects = helm.template(*VAULTED, *HAS_OPERATOR)
    assert "Secret" not in {thing["kind"] for thing in objects}
    external = next(thing["spec"] for thing in objects if thing["kind"] == "ExternalSecret")
    asked = {entry["secretKey"] for entry in external["data"]}
    assert asked == {item["key"] for pod in pods(objects).values() for item in secret_items(pod)}
    assert external["target"]["name"] == "platform-credentials"
    assert external["target"]["creationPolicy"] == "Orphan", "the volume that they open stays, too"
    assert external["secretStoreRef"] == {"name": "vault", "kind": "ClusterSecretStore"}


def test_without_the_operator_the_refusal_says_how_to_install_it(helm: Helm) -> None:
    refusal = helm.refusal(*VAULTED)
    assert "does not have external-secrets.io/v1" in refusal
    assert "helm install external-secrets" in refusal


def test_a_vault_must_be_named(helm: Helm) -> None:
    assert "must name the SecretStore" in helm.refusal("--set", "global.secrets.mode=external", *HAS_OPERATOR)


def test_a_generated_secret_survives_uninstall() -> None:
    assert "helm.sh/resource-policy: keep" in TEMPLATE.read_text()


def test_no_config_map_holds_anything_secret(objects: list[Object]) -> None:
    for thing in objects:
        if thing["kind"] == "ConfigMap":
            for key, value in thing["data"].items():
                assert not re.search(r"PASSWORD|TOKEN|_KEY$|SECRET(?!S_DIR)", key), key
                assert not re.search(r"://[^/@\s]*:[^/@\s]*@", value), f"a URL with a password in {key}"
