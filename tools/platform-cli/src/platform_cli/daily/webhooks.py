"""Where webhooks go, what came of them, and sending them again."""

from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from platform_cli.daily.telling import (
    Json,
    Unclear,
    console,
    errors,
    merchant_gateway,
    print_json,
    print_table,
    told,
)

PATH = "/v1/webhook-endpoints"

EndpointId = Annotated[str, typer.Argument(help="we_…")]
Types = Annotated[
    list[str] | None, typer.Option("--type", help="with --add: only these, such as refund.*; may be repeated")
]


class DeliveryStatus(StrEnum):
    DUE = "due"
    DELIVERED = "delivered"
    DEAD = "dead"


def endpoint_commands() -> typer.Typer:
    """`endpoints`, which lists, and what is done to one of them."""
    group = typer.Typer()
    group.callback(invoke_without_command=True)(told(endpoints))
    for name, command in (("rotate", rotate), ("disable", disable), ("enable", enable), ("ping", ping)):
        group.command(name)(told(command))
    return group


def endpoints(
    context: typer.Context,
    add: Annotated[str | None, typer.Option(help="register this URL; its secret is shown once")] = None,
    types: Types = None,
    as_json: Json = False,
) -> None:
    """Where webhooks go; --add registers one more."""
    if context.invoked_subcommand is not None:
        return
    gateway = merchant_gateway()
    if add is not None:
        _show_secret(gateway.change("POST", PATH, {"url": add, "event_types": types or None}), as_json)
        return
    found = gateway.get(PATH)["data"]
    if as_json:
        print_json(found)
        return
    table = Table("endpoint", "url", "enabled", "events", box=None)
    for one in found:
        enabled = "yes" if one["enabled"] else f"no ({one['disabled_reason']})"
        table.add_row(one["id"], one["url"], enabled, ", ".join(one["event_types"] or ["all"]))
    print_table(table, "no endpoints: `platform endpoints --add https://…`")


def rotate(
    endpoint: EndpointId,
    overlap_s: Annotated[
        int, typer.Option(min=0, help="so long the old secret signs too; 0 if it has leaked")
    ] = 86_400,
    as_json: Json = False,
) -> None:
    """A new secret, shown once."""
    body = {"overlap_s": overlap_s}
    _show_secret(merchant_gateway().change("POST", f"{PATH}/{endpoint}/rotate-secret", body), as_json)


def disable(endpoint: EndpointId, as_json: Json = False) -> None:
    """Send nothing there; what is due is given up."""
    _switch(endpoint, enabled=False, as_json=as_json)


def enable(endpoint: EndpointId, as_json: Json = False) -> None:
    """Send there again; `platform replay --missed` sends what it missed."""
    _switch(endpoint, enabled=True, as_json=as_json)


def ping(endpoint: EndpointId, as_json: Json = False) -> None:
    """Send an event to this endpoint alone, to try it; `platform deliveries` shows what came of it."""
    made = merchant_gateway().change("POST", f"{PATH}/{endpoint}/test", {})
    print_json(made) if as_json else console.print(f"a ping for {endpoint} is due")


def deliveries(
    endpoint: Annotated[str | None, typer.Option(help="to this endpoint, we_…")] = None,
    event: Annotated[str | None, typer.Option(help="of this event, evt_…")] = None,
    status: Annotated[DeliveryStatus | None, typer.Option()] = None,
    limit: Annotated[int, typer.Option("-n", min=1, max=100, help="newest so many")] = 20,
    as_json: Json = False,
) -> None:
    """What came of webhooks: of an endpoint, an event, or both, newest first."""
    if not (endpoint or event):
        raise Unclear("Say whose: --endpoint or --event.")
    found = merchant_gateway().get(
        "/v1/webhook-deliveries", endpoint_id=endpoint, event_id=event, status=status, limit=limit
    )["data"]
    if as_json:
        for one in found:
            print_json(one)
        return
    table = Table("event", "type", "endpoint", "status", "attempts", "last answer", "next", box=None)
    for one in found:
        answer = one["last_error"] or one["last_status_code"] or ""
        coming = (one["next_attempt_at"] or "")[:19]
        table.add_row(
            one["event_id"], one["event_type"], one["endpoint_id"], one["status"], str(one["attempt_count"]),
            str(answer), coming,
        )  # fmt: skip
    print_table(table, "no deliveries")


def replay(
    event: Annotated[str | None, typer.Option(help="one event, evt_…")] = None,
    endpoint: Annotated[str | None, typer.Option(help="all of an endpoint, we_…")] = None,
    since: Annotated[str | None, typer.Option(help="from this time on, such as 2026-11-26T09:00:00Z")] = None,
    until: Annotated[str | None, typer.Option(help="until this time")] = None,
    missed: Annotated[bool, typer.Option("--missed", help="only what was not delivered")] = False,
    as_json: Json = False,
) -> None:
    """Send webhooks again: one event's, an endpoint's, or those of a time."""
    if not (event or endpoint or since):
        raise Unclear("Say what: --event, --endpoint or --since.")
    gateway = merchant_gateway()
    body: dict[str, Any] = {
        "event_id": event, "endpoint_id": endpoint, "occurred_from": since, "occurred_to": until,
        "undelivered_only": missed,
    }  # fmt: skip
    answers: list[dict[str, Any]] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"))  # how many there will be is not known
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task("replaying")
        while not answers or answers[-1]["has_more"]:
            answers.append(gateway.post("/v1/webhook-deliveries/replay", body))
            body["after"] = answers[-1]["next_after"]
            progress.update(task, description=f"{sum(one['events'] for one in answers):,} events read")
    if as_json:
        print_json(answers)
        return
    console.print(f"{sum(answer['deliveries'] for answer in answers)} deliveries are due again")


def _switch(endpoint: str, *, enabled: bool, as_json: bool) -> None:
    made = merchant_gateway().change("PATCH", f"{PATH}/{endpoint}", {"enabled": enabled})
    print_json(made) if as_json else console.print(f"{endpoint} is {'enabled' if enabled else 'disabled'}")


def _show_secret(made: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(made)
    else:
        console.print(f"{made['id']}  {made['url']}\nsecret: {made['secret']}", soft_wrap=True)
