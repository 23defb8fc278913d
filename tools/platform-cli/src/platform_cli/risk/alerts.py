"""`platform risk alerts …`: what the risk engine warns about, and what is done about it."""

import time
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from platform_cli.daily.telling import Json, console, errors, print_json, print_table, told
from platform_cli.risk.engine import engine_to_act, engine_to_read

PATH = "/v1/alerts"
TRIAL_MAX_S = 45.0  # the worker looks every five seconds, and an attempt takes ten at most
POLL_S = 0.5

AlertId = Annotated[str, typer.Argument(help="alr_…")]


class Status(StrEnum):
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


def alert_commands() -> typer.Typer:
    """`alerts …`, each command under its own name."""
    group = typer.Typer(help="What the risk engine warns about.", no_args_is_help=True)
    for name, command in (
        ("list", list_alerts), ("show", show), ("ack", ack), ("resolve", resolve),
        ("channels", channels), ("test-channel", try_channel),
    ):  # fmt: skip
        group.command(name)(told(command))
    return group


def list_alerts(
    status: Annotated[Status | None, typer.Option()] = None,
    severity: Annotated[Severity | None, typer.Option()] = None,
    kind: Annotated[str | None, typer.Option(help="such as card_testing")] = None,
    limit: Annotated[int, typer.Option("-n", min=1, max=100, help="newest so many")] = 20,
    as_json: Json = False,
) -> None:
    """The newest alerts. Exit 0, also when there are none."""
    found = engine_to_read().get(PATH, status=status, severity=severity, kind=kind, limit=limit)["data"]
    if as_json:
        for one in found:
            print_json(one)
        return
    table = Table("alert", "severity", "kind", "about", "status", "seen", "since", "what", box=None)
    for one in found:
        by = one["resolved_by"] or one["acknowledged_by"]
        table.add_row(
            one["id"], one["severity"], one["kind"], one["scope"] or "-",
            f"{one['status']} by {by}" if by else one["status"], f"{one['occurrences']}x",
            one["raised_at"][:19], one["summary"],
        )  # fmt: skip
    print_table(table, "no alerts")


def show(alert: AlertId, as_json: Json = False) -> None:
    """One alert with what was done about it, and whom it was told to."""
    found = engine_to_read().get(f"{PATH}/{alert}")
    if as_json:
        print_json(found)
        return
    console.print(f"{found['id']}  {found['severity']}  {found['kind']} {found['scope']}  {found['status']}")
    console.print(found["summary"])
    for act in found["acts"]:
        console.print(f"{act['at'][:19]}  {act['act']} by {act['actor']}  {act['note'] or ''}".rstrip())
    for one in found["deliveries"]:
        told_of = f"{one['channel']}: {one['status']} after {one['attempts']} attempts"
        console.print(f"{told_of} {one['last_error'] or ''}".rstrip())


def ack(
    alert: AlertId,
    note: Annotated[str | None, typer.Option(help="what you are going to do")] = None,
    as_json: Json = False,
) -> None:
    """You look at it: it is told to nobody else."""
    body = {"note": note} if note else {}
    _tell(engine_to_act().change("POST", f"{PATH}/{alert}/acknowledge", body), as_json)


def resolve(
    alert: AlertId,
    note: Annotated[str, typer.Option(help="why it is over, for whoever reads it in a year")],
    as_json: Json = False,
) -> None:
    """It is over. The same trouble raises nothing new for a while."""
    _tell(engine_to_act().change("POST", f"{PATH}/{alert}/resolve", {"note": note}), as_json)


def channels(as_json: Json = False) -> None:
    """Who hears of alerts, by severity and level of escalation."""
    found = engine_to_read().get("/v1/alert-channels")["data"]
    if as_json:
        print_json(found)
        return
    table = Table("channel", "kind", "severities", "from level", box=None)
    for one in found:
        table.add_row(one["name"], one["kind"], ", ".join(one["severities"]), str(one["level"]))
    print_table(table, "no channels: RISK_ALERT_CHANNELS, see docs/risk-alerts.md")


def try_channel(
    channel: Annotated[str, typer.Argument(help="a name of `channels`")], as_json: Json = False
) -> None:
    """Send a trial message the way that alerts go. Exit 1 when it did not arrive."""
    engine = engine_to_act()
    delivery = engine.change("POST", f"/v1/alert-channels/{channel}/trial", {})
    give_up_at_s = time.monotonic() + TRIAL_MAX_S
    while delivery["status"] == "due" and not delivery["last_error"] and time.monotonic() < give_up_at_s:
        time.sleep(POLL_S)
        delivery = engine.get(f"/v1/alert-deliveries/{delivery['id']}")
    arrived = delivery["status"] == "delivered"
    if as_json:
        print_json(delivery)
    elif arrived:
        console.print(f"{channel} took the message")
    else:
        why = delivery["last_error"] or "nobody has sent it: does the worker run?"
        errors.print(f"{channel} did not take it: {why}")
    raise typer.Exit(0 if arrived else 1)


def _tell(alert: dict[str, Any], as_json: bool) -> None:
    by = alert["resolved_by"] or alert["acknowledged_by"]
    print_json(alert) if as_json else console.print(f"{alert['id']} is {alert['status']} by {by}")
