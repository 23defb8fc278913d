#!/usr/bin/env python3
"""kubeconform, kube-score and checkov themselves, over the render of every profile (`make policy`).

Installed at pinned versions into .platform/policy: two from Go modules, checkov into a venv of its own. What they
find and we want is in policy_exceptions.toml, each with its reason; an exception that nothing needs any more
fails the run as a new finding does. Exit 0 nothing unexplained, 1 something is, 2 a program cannot be had.
"""

from __future__ import annotations

import fnmatch
import json
import os
import subprocess
import sys
import tomllib
import venv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import kubernetes_validate  # noqa: E402 - its files hold the API's schemas
from tests.charts import custom_resources  # noqa: E402
from tests.charts.conftest import PROFILES, UMBRELLA, found_helm  # noqa: E402

HOME = ROOT / ".platform" / "policy"
KUBERNETES = "1.37.0"
CHECKOV = "3.3.30"


@dataclass(frozen=True)
class Program:
    """A Go program, and the module that has it."""

    name: str
    package: str
    module: str
    version: str


PROGRAMS = (
    Program("kubeconform", "cmd/kubeconform", "github.com/yannh/kubeconform", "v0.7.0"),
    Program("kube-score", "cmd/kube-score", "github.com/zegl/kube-score", "v1.20.0"),
)


@dataclass(frozen=True)
class Found:
    """What a program says of one object in one profile."""

    tool: str
    check: str
    object: str
    profile: str
    says: str = ""


def main() -> int:
    HOME.mkdir(parents=True, exist_ok=True)
    try:
        programs = {program.name: installed(program) for program in PROGRAMS}
        checkov = installed_checkov()
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"policy: a program cannot be had: {error}", file=sys.stderr)
        return 2
    problems = list(unknown_checks(programs))
    schemas = written_schemas()
    exceptions = tomllib.loads((ROOT / "tools/kind/policy_exceptions.toml").read_text())["accepted"]
    needed: set[int] = set()
    helm = found_helm("4")
    for profile, options in PROFILES.items():
        render = HOME / f"{profile}.yaml"
        done = helm.run("template", "platform", str(UMBRELLA), *options)
        if done.returncode:
            raise SystemExit(done.stderr)
        render.write_text(done.stdout)
        found = [
            *conforming(programs["kubeconform"], render, schemas),
            *scored(programs["kube-score"], render),
            *checked(checkov, render),
        ]
        unexplained: Counter[str] = Counter()
        accepted: Counter[str] = Counter()
        for finding in found:
            number = next((n for n, exception in enumerate(exceptions) if fits(exception, finding)), None)
            if number is None:
                unexplained[finding.tool] += 1
                problems.append(f"{profile}: {finding.tool} {finding.check}: {finding.object} {finding.says}")
            else:
                needed.add(number)
                accepted[finding.tool] += 1
        told = ", ".join(
            f"{tool} {unexplained[tool]} unexplained, {accepted[tool]} accepted"
            for tool in (*programs, "checkov")
        )
        print(f"{profile}: {told}", flush=True)
    problems += [
        f"exception no longer needed: {exception['tool']} {exception['check']} ({exception['reason']})"
        for number, exception in enumerate(exceptions)
        if number not in needed
    ]
    print("\n".join(sorted(set(problems))) or "policy: nothing unexplained", flush=True)
    return 1 if problems else 0


def fits(exception: dict[str, object], finding: Found) -> bool:
    profiles = exception.get("profiles", [finding.profile])
    return (
        exception["tool"] == finding.tool
        and exception["check"] == finding.check
        and finding.profile in profiles  # type: ignore[operator]
        and any(fnmatch.fnmatch(finding.object, pattern) for pattern in exception.get("objects", ["*"]))  # type: ignore[attr-defined]
    )


def installed(program: Program) -> Path:
    """The program at its version, built from its module once. Raises CalledProcessError when it cannot be."""
    kept = HOME / f"{program.name}-{program.version}"
    if kept.exists():
        return kept
    print(f"policy: building {program.name} {program.version}", file=sys.stderr, flush=True)
    scratch = HOME / f"build-{program.name}"
    scratch.mkdir(exist_ok=True)
    environment = os.environ | {"GOFLAGS": "-mod=mod", "GO111MODULE": "on"}

    def go(*args: str) -> None:
        subprocess.run(["go", *args], cwd=scratch, env=environment, check=True)

    (scratch / "go.mod").write_text("module policy\n")
    go("mod", "edit", f"-require={program.module}@{program.version}")
    go("build", "-o", str(kept), f"{program.module}/{program.package}")
    return kept


def installed_checkov() -> Path:
    home = HOME / f"checkov-{CHECKOV}"
    if not (home / "bin" / "checkov").exists():
        print(f"policy: installing checkov {CHECKOV}", file=sys.stderr, flush=True)
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([home / "bin/pip", "install", "--quiet", f"checkov=={CHECKOV}"], check=True)
    return home / "bin" / "checkov"


def output(*command: str | Path) -> str:
    """Standard output, whatever the exit code: who finds something ends with 1. Raises SystemExit without any."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise SystemExit(f"policy: {command[0]} said nothing: {done.stderr[-2000:]}")
    return done.stdout


def unknown_checks(programs: dict[str, Path]) -> Iterator[str]:
    """Checks of the real programs that tests/charts/upstream_checks.toml does not have, or has and they have not."""
    known = tomllib.loads((ROOT / "tests/charts/upstream_checks.toml").read_text())
    theirs = {
        "kube-score": {
            line.partition(",")[0] for line in output(programs["kube-score"], "list").splitlines() if line
        },
    }
    for tool, ids in theirs.items():
        yield from (
            f"{tool}: {check} is not in upstream_checks.toml, or not in {tool}"
            for check in ids ^ set(known[tool])
        )


def written_schemas() -> str:
    """kubeconform's schemas: the API's own beside those of the operators. Nothing is fetched by kubeconform itself."""
    directory = HOME / "schemas"
    directory.mkdir(exist_ok=True)
    api = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / f"v{KUBERNETES}-local-strict"
    for file in api.glob("*.json"):
        # They refer to each other under an address of their own, which kubeconform would ask; here they are neighbours.
        schema = json.loads(file.read_text().replace("/api/_definitions.json#", "_definitions.json#"))
        schema.pop("$id", None)
        (directory / file.name).write_text(json.dumps(schema))
    known = custom_resources.schemas()
    if isinstance(known, str):
        raise SystemExit(f"policy: no schemas of the operators' kinds: {known}")
    for (api, kind), schema in known.items():
        group, _, version = api.rpartition("/")
        properties = {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            **{name: value for name, value in schema["properties"].items() if name != "metadata"},
        }
        file = directory / f"{kind.lower()}-{group.partition('.')[0]}-{version}.json"
        file.write_text(json.dumps({**schema, "properties": properties}))
    return str(directory / "{{.ResourceKind}}{{.KindSuffix}}.json")


def conforming(program: Path, render: Path, schemas: str) -> Iterator[Found]:
    told = json.loads(
        output(
            *(program, "-strict", "-summary", "-output", "json", "-kubernetes-version", KUBERNETES),
            *("-schema-location", schemas),
            render,
        )
    )
    for thing in told["resources"] or []:
        if thing["status"] not in ("statusValid", "statusSkipped"):
            yield Found(
                "kubeconform", thing["status"], f"{thing['kind']}/{thing['name']}", render.stem, thing["msg"]
            )
    if not told["summary"]["valid"]:
        raise SystemExit("policy: kubeconform looked at nothing")


def scored(program: Path, render: Path) -> Iterator[Found]:
    """Critical ones alone (grade 1): that is what kube-score itself fails for."""
    for thing in json.loads(output(program, "score", "--output-format", "json", render)):
        name = f"{thing['type_meta']['kind']}/{thing['object_meta']['name']}"
        for check in thing["checks"]:
            if check["grade"] == 1 and not check["skipped"]:
                said = " ".join(comment["summary"] for comment in check["comments"] or [])
                yield Found("kube-score", check["check"]["id"], name, render.stem, said)


def checked(program: Path, render: Path) -> Iterator[Found]:
    told = json.loads(
        output(
            program, "--file", render, "--framework", "kubernetes", "--compact", "--quiet", "--output", "json"
        )
    )
    for failed in told["results"]["failed_checks"]:
        kind, _, name = failed["resource"].split(".", 2)
        yield Found("checkov", failed["check_id"], f"{kind}/{name}", render.stem, failed["check_name"])


if __name__ == "__main__":
    sys.exit(main())
