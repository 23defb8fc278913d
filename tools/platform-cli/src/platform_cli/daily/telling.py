"""What a command says: its result on stdout, everything else on stderr, and an exit code."""

import json
import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, ParamSpec

import typer
from rich.console import Console
from rich.table import Table

from platform_cli.daily.amounts import BadAmount
from platform_cli.daily.gateway import Gateway, LeftOpen, NoAnswer, NothingRuns, Refused

P = ParamSpec("P")

WIDTH = None if sys.stdout.isatty() else 160  # a log or a document has no width of its own; ids stay whole
# No markup: what merchants wrote, such as a reference with brackets in it, is shown as it is.
console = Console(width=WIDTH, highlight=False, markup=False)
errors = Console(stderr=True, width=WIDTH, highlight=False, markup=False)

REFUSED, NOTHING_RUNS, INTERRUPTED = 1, 2, 130
WHAT_HELPS = ("allowed", "remaining_minor")

Json = Annotated[bool, typer.Option("--json", help="for programs: JSON and nothing else")]
Key = Annotated[str | None, typer.Option("--key", help="idempotency key; a new one by default")]


class Unclear(Exception):
    """The command does not say what to do; the text says what is missing."""


def merchant_gateway() -> Gateway:
    """The gateway with the merchant's key. Raises NothingRuns."""
    return Gateway.from_environment(say)


def admin_gateway() -> Gateway:
    """The gateway with the administrator's key. Raises NothingRuns."""
    return Gateway.from_environment(say, "ADMIN_API_KEY")


def say(text: str) -> None:
    """Something that a person who waits should know."""
    errors.print(text, style="dim")


def told(command: Callable[P, None]) -> Callable[P, None]:
    """Refusals in words and with an exit code: 1 the gateway refused, 2 nothing runs or nothing to do."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except Refused as refused:
            _tell_problem(refused)
            raise typer.Exit(REFUSED) from None
        except NoAnswer as lost:
            errors.print(str(lost), style="bold red")
            _tell_key(lost.key)
            if lost.key is None:
                errors.print("Look first what is there, before you change anything again.")
            raise typer.Exit(NOTHING_RUNS) from None
        except (NothingRuns, BadAmount, Unclear) as error:
            errors.print(str(error))
            raise typer.Exit(NOTHING_RUNS) from None
        except LeftOpen as left:
            _tell_key(left.key)
            raise typer.Exit(INTERRUPTED) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None

    return run


def print_json(value: Any) -> None:
    """One line."""
    typer.echo(json.dumps(value, ensure_ascii=False))


def print_table(table: Table, empty: str) -> None:
    """The table, or a sentence when it has no rows."""
    console.print(table if table.row_count else empty)


def _tell_problem(refused: Refused) -> None:
    problem = refused.problem
    title = str(problem.get("title", f"The gateway answered {refused.status}"))
    errors.print(title, style="bold red")
    if (detail := str(problem.get("detail", ""))) not in ("", title):
        errors.print(detail)
    for error in problem.get("errors", ()):
        errors.print(f"  {error.get('pointer', '')}: {error.get('detail', '')}")
    for name in WHAT_HELPS:
        if name in problem:
            errors.print(f"{name}: {problem[name]}")
    _tell_key(refused.open_key)
    if "request_id" in problem:
        errors.print(f"request {problem['request_id']}", style="dim")


def _tell_key(key: str | None) -> None:
    """Typed again without the key it would be another act: that is how people pay twice."""
    if key is not None:
        errors.print(f"It may have been done all the same. To find out, repeat the command with --key {key}")
