"""`platform pay`, `refund`, `list`, `tail`, `replay` …: the daily things, against the gateway's own API."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Annotated, Any, ParamSpec

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from platform_cli.daily.amounts import BadAmount, minor_units, written
from platform_cli.daily.gateway import Gateway, NothingRuns, Refused

P = ParamSpec("P")

WIDTH = None if sys.stdout.isatty() else 160  # a log or a document has no width of its own; ids stay whole
console = Console(width=WIDTH, highlight=False)
errors = Console(stderr=True, width=WIDTH, highlight=False)

WAITING = frozenset({"processing", "unknown"})
WAIT_MAX_S = 90.0  # an outcome that is not known is found out within a minute
TAIL_PAUSE_S = 1.0

Json = Annotated[bool, typer.Option("--json", help="for programs: JSON and nothing else")]
Key = Annotated[str | None, typer.Option("--key", help="idempotency key; a new one by default")]
PaymentId = Annotated[str, typer.Argument(help="pay_…")]
Amount = Annotated[str | None, typer.Option(help="a part of it, such as 4.20; all by default")]


def _told(command: Callable[P, None]) -> Callable[P, None]:
    """Refusals in words and with an exit code: 1 the gateway refused, 2 nothing runs or nothing to do."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except Refused as refused:
            problem = refused.problem
            errors.print(f"[bold red]{problem.get('title', f'status {refused.status}')}[/bold red]")
            errors.print(str(problem.get("detail", "")), markup=False)
            for name in ("allowed", "remaining_minor", "request_id"):
                if name in problem:
                    errors.print(f"{name}: {problem[name]}", markup=False)
            raise typer.Exit(1) from None
        except (NothingRuns, BadAmount) as error:
            errors.print(str(error), markup=False)
            raise typer.Exit(2) from None

    return run


def add_daily_commands(main: typer.Typer) -> None:
    """Put the daily commands into the help, in a panel of their own."""
    named = (
        ("pay", pay), ("confirm", confirm), ("capture", capture), ("cancel", cancel), ("refund", refund),
        ("show", show), ("list", list_payments), ("balance", balance), ("tail", tail), ("endpoints", endpoints),
        ("replay", replay),
    )  # fmt: skip
    for name, command in named:
        main.command(name, rich_help_panel="Payments")(_told(command))


def pay(
    amount: Annotated[str, typer.Argument(help="such as 12.50")],
    currency: Annotated[str, typer.Argument()] = "EUR",
    card: Annotated[str, typer.Option(help="a test token (docs/channels.md)")] = "tok_visa",
    method: Annotated[str | None, typer.Option(help="a saved payment method, pm_…")] = None,
    manual: Annotated[bool, typer.Option("--manual", help="hold only; capture later")] = False,
    later: Annotated[bool, typer.Option("--no-confirm", help="create only; confirm later")] = False,
    reference: Annotated[str | None, typer.Option()] = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Pay, and wait until the outcome is known."""
    currency = currency.upper()
    body: dict[str, Any] = {
        "amount_minor": minor_units(amount, currency),
        "currency": currency,
        "capture": "manual" if manual else "automatic",
        "confirm": not later,
        "reference": reference,
    }
    body |= {"payment_method": method} if method else {"method": {"type": "card", "card": {"token": card}}}
    gateway = Gateway.from_environment()
    _show(_settled(gateway, gateway.post("/v1/payments", body, key)), as_json)


def confirm(payment: PaymentId, key: Key = None, as_json: Json = False) -> None:
    """Charge a payment that was created with --no-confirm."""
    gateway = Gateway.from_environment()
    _show(_settled(gateway, gateway.post(f"/v1/payments/{payment}/confirm", {}, key)), as_json)


def capture(
    payment: PaymentId,
    amount: Amount = None,
    final: Annotated[bool, typer.Option("--final", help="give up the rest of the hold")] = False,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Take what is held, or a part of it."""
    gateway = Gateway.from_environment()
    body = {"amount_minor": _part(gateway, payment, amount), "final": final}
    _show(gateway.post(f"/v1/payments/{payment}/capture", body, key), as_json)


def cancel(payment: PaymentId, key: Key = None, as_json: Json = False) -> None:
    """Give up a payment of which nothing is captured."""
    _show(Gateway.from_environment().post(f"/v1/payments/{payment}/cancel", {}, key), as_json)


def refund(
    payment: PaymentId,
    amount: Amount = None,
    reason: Annotated[str | None, typer.Option()] = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Give back what was captured, or a part of it."""
    gateway = Gateway.from_environment()
    body = {"amount_minor": _part(gateway, payment, amount), "reason": reason}
    made = gateway.post(f"/v1/payments/{payment}/refunds", body, key)
    if as_json:
        _print_json(made)
        return
    console.print(f"{made['id']}  {written(made['amount_minor'], made['currency'])}  {made['status']}")


def show(payment: PaymentId, as_json: Json = False) -> None:
    """One payment, its refunds and its story."""
    gateway = Gateway.from_environment()
    found = gateway.get(f"/v1/payments/{payment}")
    refunds = gateway.get(f"/v1/payments/{payment}/refunds")["data"]
    story = list(_story(gateway, payment))
    if as_json:
        _print_json({"payment": found, "refunds": refunds, "events": story[::-1]})
        return
    _show(found, as_json=False)
    table = Table("at", "event", "amount", box=None)
    for event in story[::-1]:
        told = event["data"].get("refund") or event["data"]["payment"]
        table.add_row(event["occurred_at"], event["type"], written(told["amount_minor"], told["currency"]))
    console.print(table)


def list_payments(
    status: Annotated[str | None, typer.Option(help="such as captured")] = None,
    reference: Annotated[str | None, typer.Option()] = None,
    limit: Annotated[int, typer.Option("-n", min=1, help="newest so many")] = 20,
    as_json: Json = False,
) -> None:
    """Payments, newest first; with --json one a line."""
    gateway = Gateway.from_environment()
    found = []
    with Progress(console=errors, transient=True, disable=limit <= 100) as progress:
        task = progress.add_task("reading", total=limit)
        for payment in _payments(gateway, limit, status=status, reference=reference):
            found.append(payment)
            progress.advance(task)
    if as_json:
        for payment in found:
            _print_json(payment)
        return
    table = Table(
        "payment", "status", "amount", "captured", "refunded", "channel", "reference", "at", box=None
    )
    for one in found:
        amounts = [
            written(one[f"{name}minor"], one["currency"]) for name in ("amount_", "captured_", "refunded_")
        ]
        table.add_row(
            one["id"],
            one["status"],
            *amounts,
            one["channel"] or "",
            one["reference"] or "",
            one["created_at"][:19],
        )
    console.print(table if found else "no payments")


def balance(as_json: Json = False) -> None:
    """What is pending, available, disputed and on its way out."""
    found = Gateway.from_environment().get("/v1/balance")
    if as_json:
        _print_json(found)
        return
    kinds = ("available", "pending", "disputed", "payouts_in_transit")
    table = Table("currency", *(kind.replace("_", " ") for kind in kinds), box=None)
    for one in found["balances"]:
        table.add_row(one["currency"], *(written(one[f"{kind}_minor"], one["currency"]) for kind in kinds))
    console.print(table)


def tail(
    kind: Annotated[
        str | None, typer.Option("--type", help="such as payment.captured.v1 or refund.*")
    ] = None,
    after: Annotated[str | None, typer.Option(help="the event (evt_…) to go on behind")] = None,
    once: Annotated[bool, typer.Option("--once", help="stop at the newest one")] = False,
    as_json: Json = False,
) -> None:
    """Follow the events as they happen; from the first one on, or behind --after."""
    gateway = Gateway.from_environment()
    try:
        while True:
            for event in _events(gateway, after=after, kind=kind):
                after = event["id"]
                if as_json:
                    _print_json(event)
                else:
                    console.print(
                        f"{event['occurred_at']}  {event['type']:<28} {event['aggregate_id']}  {after}"
                    )
            if once:
                return
            time.sleep(TAIL_PAUSE_S)
    except KeyboardInterrupt:
        return


def endpoints(
    add: Annotated[str | None, typer.Option(help="register this URL; its secret is shown once")] = None,
    as_json: Json = False,
) -> None:
    """Where webhooks go; --add registers one more."""
    gateway = Gateway.from_environment()
    if add is not None:
        made = gateway.post("/v1/webhook-endpoints", {"url": add})
        _print_json(made) if as_json else console.print(
            f"{made['id']}  {made['url']}\nsecret: {made['secret']}"
        )
        return
    found = gateway.get("/v1/webhook-endpoints")["data"]
    if as_json:
        _print_json(found)
        return
    table = Table("endpoint", "url", "enabled", "events", box=None)
    for one in found:
        table.add_row(
            one["id"], one["url"], str(one["enabled"]).lower(), ", ".join(one["event_types"] or ["all"])
        )
    console.print(table if found else "no endpoints: `platform endpoints --add https://…`")


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
        errors.print("Say what: --event, --endpoint or --since.")
        raise typer.Exit(2)
    gateway = Gateway.from_environment()
    body: dict[str, Any] = {
        "event_id": event, "endpoint_id": endpoint, "occurred_from": since, "occurred_to": until,
        "undelivered_only": missed,
    }  # fmt: skip
    answers = []
    with Progress(console=errors, transient=True) as progress:
        task = progress.add_task("replaying", total=None)
        while True:
            answers.append(gateway.post("/v1/webhook-deliveries/replay", body))
            progress.advance(task)
            if not answers[-1].get("has_more"):
                break
            body["after"] = answers[-1]["next_after"]
    if as_json:
        _print_json(answers)
        return
    console.print(f"{sum(answer['deliveries'] for answer in answers)} deliveries are due again")


def _part(gateway: Gateway, payment: str, amount: str | None) -> int | None:
    """The minor units of a part, which needs the payment's currency."""
    if amount is None:
        return None
    return minor_units(amount, str(gateway.get(f"/v1/payments/{payment}")["currency"]))


def _settled(gateway: Gateway, payment: dict[str, Any]) -> dict[str, Any]:
    """The payment once its outcome is known, or as it is after a minute and a half."""
    give_up_at = time.monotonic() + WAIT_MAX_S
    with errors.status("the channel has not answered: finding out") as status:
        if payment["status"] not in WAITING:
            status.stop()
        while payment["status"] in WAITING and time.monotonic() < give_up_at:
            time.sleep(0.5)
            payment = gateway.get(f"/v1/payments/{payment['id']}")
    return payment


def _payments(gateway: Gateway, limit: int, **filters: str | None) -> Iterator[dict[str, Any]]:
    cursor = None
    while limit > 0:
        page = gateway.get("/v1/payments", limit=min(limit, 100), cursor=cursor, **filters)
        yield from page["data"]
        limit -= len(page["data"])
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _events(
    gateway: Gateway, *, after: str | None = None, kind: str | None = None, newest_first: bool = False
) -> Iterator[dict[str, Any]]:
    """All events there are now, page by page."""
    before = None
    while True:
        page = gateway.get(
            "/v1/events", limit=100, after=after, before=before, type=kind,
            order="desc" if newest_first else None,
        )  # fmt: skip
        yield from page["data"]
        if not page["has_more"]:
            return
        last = page["data"][-1]["id"]
        after, before = (None, last) if newest_first else (last, None)


def _story(gateway: Gateway, payment: str) -> Iterator[dict[str, Any]]:
    """The payment's events, newest first, back to its creation."""
    for event in _events(gateway, newest_first=True):
        if event["aggregate_id"] == payment:
            yield event
            if event["type"] == "payment.created.v1":
                return


def _show(payment: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print_json(payment)
        return
    currency = payment["currency"]
    line = f"{payment['id']}  {written(payment['amount_minor'], currency)}  [bold]{payment['status']}[/bold]"
    if payment["decline_code"]:
        line += f" ({payment['decline_code']})"
    console.print(line)
    if payment["captured_minor"]:
        console.print(f"  captured {written(payment['captured_minor'], currency)}")
    if payment["refunded_minor"]:
        console.print(f"  refunded {written(payment['refunded_minor'], currency)}")
    if payment["next_action"]:
        console.print(
            f"  the payer must act: {payment['next_action'].get('url', payment['next_action'])}",
            soft_wrap=True,
        )


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))
