"""Backups and restores of a release on Kubernetes, by the Jobs that its backup chart describes, with kubectl."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from platform_cli.backup.scripts import BackupFailed

JOB_TIMEOUT_S = 4 * 3600.0  # the Jobs' own activeDeadlineSeconds is no longer
SETTLE_TIMEOUT_S = 300
FLUSH = "REDISCLI_AUTH=$(cat /run/secrets/platform/redis_password) redis-cli flushdb"


@dataclass(frozen=True, slots=True)
class Release:
    """A release of the umbrella chart, in the cluster of the current kubeconfig context."""

    name: str
    namespace: str

    def back_up(self) -> str:
        """Run the backup's CronJob now; what it said. Raises BackupFailed."""
        return self._run_job(self._job(f"{self.name}-backup"))

    def drill(self, backup: str | None) -> str:
        """Restore the newest backup, or the named one, into a Postgres of its own, and compare. Raises BackupFailed."""
        return self._run_job(self._job(f"{self.name}-backup-drill", backup))

    def restore(self, backup: str | None, say: Callable[[str], None]) -> str:
        """Put a backup in the place of the live database while no process of the platform runs. Raises BackupFailed."""
        job = self._job(f"{self.name}-backup-restore", backup)
        with self._stopped(say):
            say("restoring and comparing")
            said = self._run_job(job)
            say("emptying Redis, which is filled again from the database")
            self._kubectl("exec", f"statefulset/{self.name}-redis", "--", "sh", "-c", FLUSH)
        return said

    @contextmanager
    def _stopped(self, say: Callable[[str], None]) -> Iterator[None]:
        """All Deployments of the release at zero (an autoscaler leaves those alone), and back at what they were."""
        mine = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/part-of=payment-platform"
        listed = json.loads(self._kubectl("get", "deployments", "--selector", mine, "--output", "json"))[
            "items"
        ]
        replicas = {thing["metadata"]["name"]: thing["spec"]["replicas"] for thing in listed}
        say(f"stopping {len(replicas)} deployments")
        try:
            for name in replicas:
                self._kubectl("scale", f"deployment/{name}", "--replicas=0")
            for name in replicas:
                self._kubectl("rollout", "status", f"deployment/{name}", f"--timeout={SETTLE_TIMEOUT_S}s")
            yield
        finally:
            say("starting them again")
            for name, count in replicas.items():
                self._kubectl("scale", f"deployment/{name}", f"--replicas={count}")
        for name in replicas:
            self._kubectl("rollout", "status", f"deployment/{name}", f"--timeout={SETTLE_TIMEOUT_S}s")

    def _job(self, cronjob: str, backup: str | None = None) -> dict[str, Any]:
        """A Job from a CronJob's template; BACKUP says which backup it is about."""
        found = json.loads(self._kubectl("get", "cronjob", cronjob, "--output", "json"))
        spec = found["spec"]["jobTemplate"]["spec"]
        if backup:
            pod = spec["template"]["spec"]
            for container in [*pod.get("initContainers", []), *pod["containers"]]:
                container.setdefault("env", []).append({"name": "BACKUP", "value": backup})
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": f"{cronjob}-{int(time.time())}",
                "labels": found["metadata"]["labels"],
                "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
                # With a controller its success counts as the CronJob's own: the alert on the last one sees it.
                "ownerReferences": [
                    {
                        "apiVersion": "batch/v1",
                        "kind": "CronJob",
                        "name": cronjob,
                        "uid": found["metadata"]["uid"],
                        "controller": True,
                    }
                ],
            },
            "spec": spec,
        }

    def _run_job(self, job: dict[str, Any]) -> str:
        name = job["metadata"]["name"]
        self._kubectl("create", "--filename", "-", stdin=json.dumps(job))
        give_up = time.monotonic() + JOB_TIMEOUT_S
        while time.monotonic() < give_up:
            status = json.loads(self._kubectl("get", "job", name, "--output", "json")).get("status", {})
            ended = {entry["type"] for entry in status.get("conditions", []) if entry["status"] == "True"}
            if ended & {"Complete", "Failed"}:
                said = self._kubectl("logs", f"job/{name}", "--all-containers", "--tail=40")
                if "Failed" in ended:
                    raise BackupFailed(said.strip() or f"job {name} failed and said nothing")
                return "\n".join(
                    line for line in said.splitlines() if line.startswith(("backup:", "restore:"))
                )
            time.sleep(1)
        raise BackupFailed(f"job {name} did not end")

    def _kubectl(self, *args: str, stdin: str | None = None) -> str:
        command = ["kubectl", "--namespace", self.namespace, *args]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BackupFailed(f"kubectl {args[0]} {args[1]}: {done.stderr.strip()}")
        return done.stdout
