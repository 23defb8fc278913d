"""Backups as rendered: one server version for all, who sees which password, and where a backup goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from tests.charts.conftest import Helm, Object

CLAIM = "PersistentVolumeClaim"
S3 = (
    "backup.target.kind=s3,backup.target.s3.bucket=payments,backup.target.s3.endpoint=http://store.example:9000,"
    "backup.target.s3.existingSecret=bucket,backup.keep=3"
)


def backups(helm: Helm, *args: str) -> dict[str, Object]:
    """The CronJobs' pod specs by name."""
    return {
        thing["metadata"]["name"]: thing["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        for thing in helm.template(*args)
        if thing["kind"] == "CronJob"
    }


def environment(container: Object) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["env"]}


def test_one_value_sets_the_version_of_the_server_and_of_what_backs_it_up(helm: Helm) -> None:
    """pg_dump refuses a server that is newer than itself, and a cluster where that happens has no backups."""
    images: set[str] = set()
    for thing in helm.template("--set-string", "global.database.version=17.6"):
        images |= {part.split()[0] for part in yaml.safe_dump(thing).split("image: ")[1:]}
    assert {image for image in images if image.startswith("postgres:")} == {"postgres:17.6"}


def test_a_digest_pins_both(helm: Helm) -> None:
    digest = "sha256:" + "ab" * 32
    text = yaml.safe_dump_all(helm.template("--set", f"global.database.digest={digest}"))
    assert f"image: postgres:18@{digest}" in text
    assert "image: postgres:18\n" not in text


def test_a_first_backup_runs_at_install_and_again_when_its_pod_changes(helm: Helm) -> None:
    def first(*args: str) -> set[str]:
        return {
            thing["metadata"]["name"]
            for thing in helm.template(*args)
            if thing["kind"] == "Job" and "backup-first" in thing["metadata"]["name"]
        }

    assert len(first()) == 1
    assert first() == first("--set", "global.app.version=v2")
    assert first().isdisjoint(first("--set-string", "global.database.version=17"))
    assert first("--set", "backup.first=false") == set()


def test_the_drill_has_no_password_and_reaches_nothing(helm: Helm) -> None:
    drill = backups(helm)["platform-backup-drill"]
    assert not [volume for volume in drill["volumes"] if "secret" in volume]
    server = drill["initContainers"][0]
    assert server["restartPolicy"] == "Always", "a native sidecar: it must end with the drill"
    assert "listen_addresses=127.0.0.1" in server["args"]
    policy = next(
        thing["spec"]
        for thing in helm.template()
        if thing["kind"] == "NetworkPolicy" and thing["metadata"]["name"] == "platform-backup-drill"
    )
    assert "egress" not in policy
    assert "ingress" not in policy


def test_the_drills_server_may_fill_its_scratch_volume(helm: Helm) -> None:
    """What lies in an emptyDir counts against the pod's limit: a smaller one would evict the drill half way."""
    drill = backups(helm, "--set", "backup.drill.scratch=9Gi")["platform-backup-drill"]
    scratch = next(volume for volume in drill["volumes"] if volume["name"] == "scratch")
    assert scratch["emptyDir"]["sizeLimit"] == "9Gi"
    assert drill["initContainers"][0]["resources"]["limits"]["ephemeral-storage"] == "9Gi"


def test_backups_outlive_the_release(helm: Helm) -> None:
    claims = {c["metadata"]["name"]: c["metadata"] for c in helm.template() if c["kind"] == CLAIM}
    assert claims["platform-backup"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    own = helm.template("--set", "backup.target.claim.existingClaim=mine")
    assert (CLAIM, "platform-backup") not in {(thing["kind"], thing["metadata"]["name"]) for thing in own}
    volumes = backups(helm, "--set", "backup.target.claim.existingClaim=mine")["platform-backup"]["volumes"]
    assert {"name": "backups", "persistentVolumeClaim": {"claimName": "mine"}} in volumes


def test_to_a_bucket_the_dump_is_uploaded_after_it_is_whole(helm: Helm) -> None:
    pod = backups(helm, "--set", S3)["platform-backup"]
    dump, upload = pod["initContainers"][0], pod["containers"][0]
    assert (dump["name"], upload["name"]) == ("backup", "upload")
    assert "rclone copy --immutable" in upload["args"][0]
    assert "target:payments/payment-platform" in upload["args"][0]
    assert "tail -n +4" in upload["args"][0], "three stay"
    assert "BACKUP_KEEP" not in environment(dump)
    assert environment(upload)["RCLONE_CONFIG_TARGET_ENDPOINT"] == "http://store.example:9000"
    assert not any("KEY" in name for name in environment(upload)), "the keys are a file"
    rendered = {(thing["kind"], thing["metadata"]["name"]) for thing in helm.template("--set", S3)}
    assert (CLAIM, "platform-backup") not in rendered


def test_a_drill_and_a_restore_fetch_from_the_bucket(helm: Helm) -> None:
    for name in ("platform-backup-drill", "platform-backup-restore"):
        fetch = backups(helm, "--set", S3)[name]["initContainers"][0]
        assert fetch["name"] == "fetch"
        assert "rclone copy" in fetch["args"][0]


def test_a_bucket_must_be_named(helm: Helm) -> None:
    assert "target.s3.bucket must be set" in helm.refusal("--set", "backup.target.kind=s3")


def test_only_the_bucket_and_the_database_are_reached(helm: Helm) -> None:
    peers = "backup.target.s3.peers[0].ipBlock.cidr=203.0.113.0/24"
    rules: dict[str, list[Any]] = {
        thing["metadata"]["name"]: thing["spec"]["egress"]
        for thing in helm.template("--set", f"{S3},{peers}")
        if thing["kind"] == "NetworkPolicy" and "backup" in thing["metadata"]["name"]
    }
    bucket = {"ports": [{"port": 9000, "protocol": "TCP"}], "to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}
    assert all(bucket in rule for rule in rules.values())
    assert [rule["ports"][0]["port"] for rule in rules["platform-backup-drill"]] == [53, 9000]
    assert [rule["ports"][0]["port"] for rule in rules["platform-backup-backup"]] == [53, 5432, 9000]


def test_an_external_server_is_backed_up_over_tls_and_restored_by_hand(helm: Helm) -> None:
    """A restore needs a superuser, whose password is not in the release's Secret."""
    outside = "global.database.host=db.example,global.database.query=ssl=verify-full,postgres.enabled=false"
    found = backups(helm, "--set", outside)
    assert set(found) == {"platform-backup", "platform-backup-drill"}
    variables = environment(found["platform-backup"]["containers"][0])
    assert variables["PGHOST"] == "db.example"
    assert (variables["PGSSLMODE"], variables["PGSSLROOTCERT"]) == ("verify-full", "system")
    policies = [thing for thing in helm.template("--set", outside) if thing["kind"] == "NetworkPolicy"]
    egress = next(
        thing["spec"]["egress"] for thing in policies if thing["metadata"]["name"] == "platform-backup-backup"
    )
    assert egress[1] == {"ports": [{"port": 5432, "protocol": "TCP"}]}
