"""`platform k8s doctor`: why a release on Kubernetes is not healthy, in words."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from platform_cli.daily.telling import Json, console, errors
from platform_cli.k8s.diagnose import diagnose
from platform_cli.k8s.finding import Finding, Severity
from platform_cli.k8s.snapshot import Snapshot

HEALTHY, ILL, CANNOT_ASK = 0, 1, 3
COLOURS = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow", Severity.HINT: "cyan"}


def kubernetes_commands() -> typer.Typer:
    """`platform k8s …`."""
    group = typer.Typer(no_args_is_help=True, help="A release on Kubernetes, by kubectl's current context.")
    group.command()(doctor)
    group.callback()(lambda: None)  # with one command alone Typer would leave its name out
    return group


def doctor(
    release: Annotated[str, typer.Option("--release", help="the release's name")] = "platform",
    namespace: Annotated[str, typer.Option("--namespace", "-n")] = "default",
    context: Annotated[
        str | None, typer.Option("--context", help="of the kubeconfig; the current one by default")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say why a release is not healthy, and what to do next. It only reads; the charts' viewer Role is enough.

    Exit code 0 healthy, 1 something critical, 3 the cluster or the release cannot be asked.
    """
    from platform_cli.k8s.read import CannotAsk, Reader  # here: the client takes a second to import

    try:
        snapshot = Reader.of_context(context).read(release, namespace)
    except CannotAsk as reason:
        if as_json:
            typer.echo(json.dumps({"healthy": None, "error": str(reason)}, indent=1))
        errors.print(str(reason), style="bold red", soft_wrap=True)
        raise typer.Exit(CANNOT_ASK) from None
    findings = diagnose(snapshot)
    is_healthy = not any(finding.severity is Severity.CRITICAL for finding in findings)
    if as_json:
        told = {
            "release": release,
            "namespace": namespace,
            "healthy": is_healthy,
            "findings": [_plain(finding) for finding in findings],
            "unread": list(snapshot.unread),
        }
        typer.echo(json.dumps(told, indent=1))
    else:
        _tell(snapshot, findings, is_healthy=is_healthy)
    raise typer.Exit(HEALTHY if is_healthy else ILL)


def _tell(snapshot: Snapshot, findings: list[Finding], *, is_healthy: bool) -> None:
    for finding in findings:
        console.print(f"{finding.severity.value}  {finding.object}", style=COLOURS[finding.severity])
        for line in (finding.problem, finding.cause, f"next: {finding.command}"):
            console.print(f"  {line}", soft_wrap=True)
        for line in _consequences(finding):
            console.print(f"  {line}", style="dim", soft_wrap=True)
    for note in snapshot.unread:
        console.print(f"not read  {note}", style="dim", soft_wrap=True)
    verdict = f"{snapshot.release} in {snapshot.namespace}"
    if is_healthy:
        console.print(f"{verdict}: healthy, {len(snapshot.pods)} pods looked at", style="green")
    else:
        criticals = sum(finding.severity is Severity.CRITICAL for finding in findings)
        console.print(f"{verdict}: not healthy, {criticals} to mend", style="bold red")


def _consequences(finding: Finding, depth: int = 0) -> list[str]:
    lines: list[str] = []
    for below in finding.leads_to:
        lines.append(f"{'  ' * depth}so: {below.object}: {below.problem}")
        lines += _consequences(below, depth + 1)
    return lines


def _plain(finding: Finding) -> dict[str, Any]:
    plain = asdict(finding)
    plain.pop("needs_bases")
    plain["leads_to"] = [_plain(below) for below in finding.leads_to]
    return plain
