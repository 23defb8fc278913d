"""`platform risk rules …`: rule sets from a file on disk to what decides, and back."""

import json
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from platform_cli.daily.gateway import Gateway, Refused
from platform_cli.daily.telling import (
    REFUSED,
    Json,
    Unclear,
    console,
    errors,
    print_json,
    print_table,
    told,
)
from platform_cli.risk.engine import engine_to_act, engine_to_read

PATH = "/v1/rule-sets"
POLL_S = 0.5
SHORT = 12  # characters of a hash that are shown; any unique beginning names a set

File = Annotated[Path, typer.Argument(help=".toml or .json", exists=True, dir_okay=False)]
Set = Annotated[str, typer.Argument(help="the hash, or how it begins")]


def rule_commands() -> typer.Typer:
    """`rules …`, each command under its own name."""
    group = typer.Typer(help="Rule sets: check, save, try, approve, publish, go back.", no_args_is_help=True)
    for name, command in (
        ("list", list_sets), ("show", show), ("check", check), ("save", save), ("backtest", backtest),
        ("report", report), ("approve", approve), ("publish", publish), ("trial", trial), ("end-trial", end_trial),
        ("rollback", rollback), ("history", history),
    ):  # fmt: skip
        group.command(name)(told(command))
    return group


def list_sets(as_json: Json = False) -> None:
    """Saved sets, newest first, and how far each has come."""
    found = engine_to_read().get(PATH, limit=50)["data"]
    if as_json:
        print_json(found)
        return
    table = Table("set", "name", "rules", "status", "saved by", "approved by", "live since", box=None)
    for one in found:
        table.add_row(
            one["hash"][:SHORT], one["name"], str(one["rule_count"]), one["status"], one["saved_by"],
            one["approved_by"] or "-", (one["published_at"] or "-")[:19],
        )  # fmt: skip
    print_table(table, "no rule sets")


def show(rule_set: Set) -> None:
    """The document of a set, as JSON: save it to a file, change it, check it."""
    engine = engine_to_read()
    print_json(engine.get(f"{PATH}/{_whole(engine, rule_set)}")["document"])


def check(file: File) -> None:
    """Look at a file and store nothing. Exit 1 with every bad rule: where in it, and why."""
    found = _sent(engine_to_act(), "/v1/rule-checks", file)
    console.print(f"{file}: {found['rule_count']} rules, all sound; it would be {found['hash'][:SHORT]}")


def save(file: File, as_json: Json = False) -> None:
    """Check a file and keep it under the hash of its content; it decides nothing yet."""
    made = _sent(engine_to_act(), PATH, file)
    if as_json:
        print_json(made)
        return
    console.print(f"{made['hash'][:SHORT]}  {made['name']}  {made['status']}")


def backtest(
    rule_set: Set,
    days: Annotated[int, typer.Option(min=1, max=3650, help="back from now")] = 30,
    curve: Annotated[
        bool, typer.Option("--curve", help="also what stopping everything from each score on would have done")
    ] = False,
    as_json: Json = False,
) -> None:
    """Try a saved set on stored decisions; shows what it would have changed."""
    engine = engine_to_act()
    until_s = time.time()
    asked = engine.change(
        "POST",
        "/v1/backtests",
        {
            "rule_set": _whole(engine, rule_set),
            "since": _moment(until_s - days * 86_400),
            "until": _moment(until_s),
        },
    )
    found = _followed(engine, asked)
    if found["status"] == "failed":
        errors.print(f"{found['id']} failed: {found['failure']}")
        raise typer.Exit(REFUSED)
    if as_json:
        print_json(found)
        return
    _tell_report(found["report"])
    if curve:
        _tell_curve(found["report"])


def report(
    rule_set: Set,
    curve: Annotated[
        bool, typer.Option("--curve", help="also what stopping from each score on would do")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the newest finished backtest of a set again, without running one."""
    engine = engine_to_read()
    found = engine.get("/v1/backtests", rule_set=_whole(engine, rule_set), limit=20)["data"]
    done = next((one for one in found if one["status"] == "done"), None)
    if done is None:
        raise Unclear(f"No backtest of {rule_set} is finished: `platform risk rules backtest {rule_set}`.")
    if as_json:
        print_json(done)
        return
    console.print(f"{done['since'][:10]} to {done['until'][:10]}, asked for by {done['asked_by']}")
    _tell_report(done["report"])
    if curve:
        _tell_curve(done["report"])


def approve(
    rule_set: Set,
    note: Annotated[str | None, typer.Option(help="what you looked at")] = None,
    as_json: Json = False,
) -> None:
    """Approve a set that somebody else saved and somebody tried."""
    engine = engine_to_act()
    done = engine.change("POST", f"{PATH}/{_whole(engine, rule_set)}/approve", {"note": note} if note else {})
    if as_json:
        print_json(done)
        return
    console.print(
        f"{done['hash'][:SHORT]} is approved by {done['approved_by']}; it was saved by {done['saved_by']}"
    )


def publish(rule_set: Set, as_json: Json = False) -> None:
    """Make an approved set live, in every process within two seconds."""
    engine = engine_to_act()
    _tell(engine.change("POST", f"{PATH}/{_whole(engine, rule_set)}/publish", {}), as_json)


def trial(
    rule_set: Annotated[
        str | None, typer.Argument(help="a set to try; without one: how the trial goes")
    ] = None,
    share: Annotated[float, typer.Option(min=0, max=50, help="percent of payments that it decides")] = 0.0,
    as_json: Json = False,
) -> None:
    """Try an approved set beside the live one: it judges every payment, and decides a share of them or none."""
    if rule_set is not None:
        engine = engine_to_act()
        body = {"share_bp": round(share * 100)}
        _tell(engine.change("POST", f"{PATH}/{_whole(engine, rule_set)}/trial", body), as_json)
        return
    found = engine_to_read().get("/v1/deployment/trial")
    if as_json:
        print_json(found)
        return
    how = found["difference"]
    low, high = how["change_95"]
    decides = found["challenger_share_bp"] / 100
    console.print(
        f"{found['challenger'][:SHORT]} beside {found['hash'][:SHORT]}, deciding {decides:g} % of payments"
    )
    console.print(
        f"{how['payments']:,} payments: {how['stricter']:,} judged more severely, {how['milder']:,} more mildly; "
        f"not simply allowed {how['live_alert_rate']:.2%} -> {how['challenger_alert_rate']:.2%}, "
        f"a change of {how['change']:+.2%} (95 %: {low:+.2%} to {high:+.2%})"
    )


def end_trial(as_json: Json = False) -> None:
    """Let the live set decide alone again."""
    _tell(engine_to_act().change("POST", "/v1/deployment/end-trial", {}), as_json)


def rollback(as_json: Json = False) -> None:
    """Make the set live again that decided before this one."""
    _tell(engine_to_act().change("POST", "/v1/deployment/rollback", {}), as_json)


def history(as_json: Json = False) -> None:
    """Everything that ever decided, newest first."""
    found = engine_to_read().get("/v1/deployment/history", limit=50)["data"]
    if as_json:
        print_json(found)
        return
    table = Table("at", "act", "by", "set", "challenger", "share", box=None)
    for one in found:
        share = one["challenger_share_bp"]
        table.add_row(
            one["published_at"][:19], one["act"], one["acted_by"], one["hash"][:SHORT],
            (one["challenger"] or "-")[:SHORT], "-" if share is None else f"{share / 100:g} %",
        )  # fmt: skip
    print_table(table, "nothing was published")


def _sent(engine: Gateway, path: str, file: Path) -> dict[str, Any]:
    """The engine's answer to a document; every rule at fault is told. Raises Unclear for a file that is none."""
    try:
        return engine.change("POST", path, _document(file))
    except Refused as refused:
        for one in refused.problem.get("errors", []):
            errors.print(
                f"{one.get('rule') or one.get('pointer')}: {one['detail']}", markup=False, soft_wrap=True
            )
        if refused.problem.get("errors"):
            errors.print(f"{file} is not acceptable; nothing was stored.")
            raise typer.Exit(REFUSED) from refused
        raise


def _document(file: Path) -> Mapping[str, Any]:
    text = file.read_text(encoding="utf-8")
    try:
        found = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise Unclear(f"{file} is no {file.suffix.removeprefix('.').upper() or 'TOML'}: {error}") from error
    if not isinstance(found, dict):
        raise Unclear(f"{file} holds no rule set: a table with name, rules and so on is expected.")
    return found


def _whole(engine: Gateway, beginning: str) -> str:
    """The hash that begins so. Raises Unclear."""
    if len(beginning) == 64:
        return beginning
    found = [one["hash"] for one in engine.get(PATH, limit=100)["data"] if one["hash"].startswith(beginning)]
    if len(found) != 1:
        raise Unclear(f"{len(found) or 'No'} rule sets begin with {beginning!r}: `platform risk rules list`.")
    return str(found[0])


def _followed(engine: Gateway, backtest: Mapping[str, Any]) -> Mapping[str, Any]:
    bar = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*bar, console=errors, transient=True) as progress:
        task = progress.add_task("waiting for a worker", total=None)
        while backtest["status"] in ("queued", "running"):
            time.sleep(POLL_S)
            backtest = engine.get(f"/v1/backtests/{backtest['id']}")
            if backtest["status"] == "running":
                progress.update(
                    task, description="trying", total=backtest["total"], completed=backtest["done"]
                )
    return backtest


def _tell_report(report: Mapping[str, Any]) -> None:
    table = Table("", "decided", "would decide", box=None)
    for decision in ("allow", "review", "challenge", "block"):
        table.add_row(
            decision, *(f"{report[side]['decisions'][decision]:,}" for side in ("decided", "tried"))
        )
    for name, member in (
        ("not allowed", "alert_rate"), ("precision", "precision"), ("recall", "recall"),
        ("good stopped", "good_stopped"),
    ):  # fmt: skip
        table.add_row(name, *(_rate(report[side][member]) for side in ("decided", "tried")))
    labelled = f"{report['labelled']:,} with a label, {report['frauds']:,} of them fraud"
    table.caption = f"{report['payments']:,} payments, {labelled}"
    console.print(table)
    console.print(
        f"fraud stopped {report['money_saved_minor']:+,} minor units; good customers stopped "
        f"{report['good_customers_hurt']:+,}; {report['difference']['stricter']:,} judged more severely, "
        f"{report['difference']['milder']:,} more mildly"
    )


def _tell_curve(report: Mapping[str, Any]) -> None:
    curve = report.get("curve")  # an earlier release stored none
    if curve is None:
        console.print("no curve: this report is of an earlier release; run the backtest again for one")
        return
    table = Table(
        "stop from score", "stopped", "precision", "recall", "money saved", "good stopped", box=None
    )
    for point in curve["points"]:
        table.add_row(
            str(point["score_from"]), f"{point['stopped']['number']:,}", _rate(point["precision"]),
            _rate(point["recall"]), f"{point['money_saved_minor']:+,}", _rate(point["good_stopped"]),
        )  # fmt: skip
    print_table(table, "no model scored any of them")


def _rate(rate: Mapping[str, Any]) -> str:
    if rate["share"] is None:
        return "nothing to tell"
    return f"{rate['share']:.2%} ({rate['low_95']:.2%} to {rate['high_95']:.2%})"


def _moment(at_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))


def _tell(publication: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(publication)
        return
    beside = ""
    if publication["challenger"]:
        share = publication["challenger_share_bp"] / 100
        beside = f", {publication['challenger'][:SHORT]} beside it deciding {share:g} %"
    console.print(f"{publication['hash'][:SHORT]} decides now{beside}")
