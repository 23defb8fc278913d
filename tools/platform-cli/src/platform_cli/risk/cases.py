"""`platform risk cases …`: the payments that a person is to look at."""

from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from platform_cli.daily.amounts import written
from platform_cli.daily.telling import Json, console, print_json, print_table, told
from platform_cli.risk.engine import engine_to_act, engine_to_read

PATH = "/v1/cases"
PAGE_MAX = 100

CaseId = Annotated[str, typer.Argument(help="cas_…")]
Reason = Annotated[str, typer.Option(help="why, for whoever reads it in a year")]
Payments = Annotated[
    int | None,
    typer.Option(min=1, help="how many you looked at: should there be more by now, nothing is decided"),
]


class Appellant(StrEnum):
    MERCHANT = "merchant"
    CARDHOLDER = "cardholder"


class Status(StrEnum):
    OPEN = "open"
    IN_PROGRESS = "in_progress"
    CLOSED = "closed"


def case_commands() -> typer.Typer:
    """`cases …`, each command under its own name."""
    group = typer.Typer(help="Payments that a person is to look at.", no_args_is_help=True)
    for name, command in (
        ("list", list_cases), ("next", take_next), ("show", show), ("approve", approve), ("reject", reject),
        ("note", note), ("release", release), ("appeal", appeal),
    ):  # fmt: skip
        group.command(name)(told(command))
    return group


def list_cases(
    status: Annotated[Status | None, typer.Option(help="without it, whatever is not closed")] = None,
    assignee: Annotated[str | None, typer.Option(help="whose")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="only what is past its time")] = False,
    count: Annotated[int, typer.Option("-n", min=1, max=PAGE_MAX, help="how many")] = 20,
    as_json: Json = False,
) -> None:
    """What waits, most urgent first; closed cases newest first. Exit 0, also when nothing waits."""
    found = engine_to_read().get(
        PATH, status=status, assignee=assignee, overdue="true" if overdue else None, limit=count
    )["data"]
    if as_json:
        print_json(found)
        return
    table = Table(
        "case", "kind", "priority", "status", "due", "payments", "at stake", "whose", "verdict", box=None
    )
    for one in found:
        due = one["due_at"][:19] + (" overdue" if one["overdue"] else "")
        proposal = f"{one['proposed']}? by {one['proposed_by']}" if one["proposed"] else "-"
        table.add_row(
            one["id"], one.get("kind", "review"), one["priority"], one["status"], due, str(one["payment_count"]),
            f"{one['amount_reference_minor']:,}", one["assignee"] or "-", one["verdict"] or proposal,
        )  # fmt: skip
    print_table(table, "nothing waits")


def take_next(as_json: Json = False) -> None:
    """Take up the most urgent case: it is yours for 15 minutes. Asked again before you have decided, it is the same."""
    engine = engine_to_act()
    case = engine.change("POST", f"{PATH}/next", {})["case"]
    if as_json:
        print_json(case)
    elif case is None:
        console.print("nothing waits")
    else:
        _tell(engine.get(f"{PATH}/{case['id']}"))


def show(case: CaseId, as_json: Json = False) -> None:
    """One case with its payments, related payments, and what was done."""
    found = engine_to_read().get(f"{PATH}/{case}")
    print_json(found) if as_json else _tell(found)


def approve(case: CaseId, reason: Reason, payments: Payments = None, as_json: Json = False) -> None:
    """The payments are the payer's: the gateway takes the money."""
    _decide(case, "approve", reason, payments, as_json)


def reject(case: CaseId, reason: Reason, payments: Payments = None, as_json: Json = False) -> None:
    """The payments are fraud: the gateway gives the holds up. What was captured already is refunded by hand."""
    _decide(case, "reject", reason, payments, as_json)


def note(
    case: CaseId, text: Annotated[str, typer.Argument(help="what to know")], as_json: Json = False
) -> None:
    """Write something down for whoever looks at it next."""
    made = engine_to_act().change("POST", f"{PATH}/{case}/notes", {"text": text})
    print_json(made) if as_json else console.print(f"noted on {case}")


def release(case: CaseId, as_json: Json = False) -> None:
    """Put it back into the queue."""
    made = engine_to_act().change("POST", f"{PATH}/{case}/release", {})
    print_json(made) if as_json else console.print(f"{case} is {made['status']}")


def appeal(
    assessment: Annotated[str, typer.Argument(help="asm_…, the decision")],
    reason: Annotated[str, typer.Option(help="what they say, without names")],
    by: Annotated[Appellant, typer.Option(help="for whom it is asked")],
    as_json: Json = False,
) -> None:
    """Write down that somebody asks against a decision: it becomes a case, for somebody else than who decided before.
    Asked again, how it stands."""
    engine = engine_to_act()
    merchant = engine.get(f"/v1/assessments/{assessment}")["merchant_id"]
    body = {"merchant_id": merchant, "assessment_id": assessment, "by": by.value, "reason": reason}
    made = engine.change("POST", "/v1/appeals", body)
    if as_json:
        print_json(made)
    else:
        console.print(
            f"{made['id']} is {made['status']}, as {made['case_id']}: {made['text']}", soft_wrap=True
        )


def _decide(case: str, verdict: str, reason: str, seen: int | None, as_json: bool) -> None:
    engine = engine_to_act()
    body: dict[str, Any] = {"verdict": verdict, "reason": reason}
    if seen is not None:
        body["payment_count"] = seen
    made = engine.change("POST", f"{PATH}/{case}/decide", body)
    if as_json:
        print_json(made)
    elif made["status"] == "closed":
        console.print(f"{case} is closed: {made['verdict']} by {made['closed_by']}")
    else:
        console.print(f"{case}: {made['proposed']} proposed; somebody else must say the same")


def _tell(case: dict[str, Any]) -> None:
    overdue = "  overdue" if case["overdue"] else ""
    console.print(f"{case['id']}  {case['priority']}  {case['status']}  due {case['due_at'][:19]}{overdue}")
    if asked := case.get("appeal"):
        console.print(f"appeal of the {asked['by']}: {asked['reason']}", soft_wrap=True)
    if case["proposed"] and not case["verdict"]:
        console.print(f"{case['proposed']} proposed by {case['proposed_by']}; another person is to agree")
    for one in case["payments"]:
        amount = written(one["amount_minor"], one["currency"])
        score = "no score" if one["score"] is None else f"score {one['score']}"
        console.print(f"{one['payment_id']}  {amount}  {score}  {one['status']}", soft_wrap=True)
        for reason in one["reasons"]:
            console.print(f"  {reason['text']}", soft_wrap=True)
        if one["effect"]:
            console.print(f"  {one['effect']['text']}", soft_wrap=True)
    for one in case["related"]:
        amount = written(one["amount_minor"], one["currency"])
        shares = ", ".join(one["shares"])
        console.print(
            f"related {one['payment_id']}  {amount}  {one['decision']}  same {shares}", soft_wrap=True
        )
    for act in case["acts"]:
        console.print(f"{act['at'][:19]}  {act['kind']} by {act['actor']}  {act['text'] or ''}".rstrip())
