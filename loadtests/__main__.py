"""`python -m loadtests`: run a profile, list them, compare ledgers. `make load PROFILE=…` is one line around it."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from loadtests import by_log
from loadtests.by_log import packed
from loadtests.profile import names, read_profile
from loadtests.slo import FILE
from loadtests.strict import WrongFile
from loadtests.verdict import ExitCode

main = typer.Typer(no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)
console = Console(highlight=False, width=None if sys.stdout.isatty() else 130)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


@main.command("list")
def list_profiles() -> None:
    """The profiles that come with the platform."""
    for name in names():
        profile = read_profile(name)
        peak = max(max(stage.rate, stage.last_rate) for stage in profile.stages)
        console.print(f"{name:14} {profile.seconds:6.0f} s, up to {peak:3.0f}/s  {profile.about}")


@main.command()
def unpack(directory: Annotated[Path, typer.Argument(help="where the files go")]) -> None:
    """Take the results out of a log that is given as standard input: kubectl logs job/… | … unpack DIRECTORY."""
    try:
        names = by_log.unpack(sys.stdin, directory)
    except by_log.NoResults as error:
        errors.print(str(error), markup=False)
        raise typer.Exit(ExitCode.WRONG_USE) from error
    console.print(f"{len(names)} files in {directory}")


@main.command()
def digest(directory: Annotated[Path, typer.Argument(help="results of a run: .platform/load/…")]) -> None:
    """Print a run as a page of Markdown, without addresses."""
    from loadtests.report.digest import digest as digested

    try:
        print(digested(directory), end="")
    except OSError as error:
        errors.print(f"no results of a run in {directory}: {error}", markup=False)
        raise typer.Exit(ExitCode.WRONG_USE) from error


@main.command("run")
def run_profile(
    profile: Annotated[str, typer.Argument(help="a name of `list`, or a file of your own (.yaml)")] = "smoke",
    url: Annotated[
        str | None, typer.Option(help="an address; kubernetes; local; without: what is found")
    ] = None,
    closed: Annotated[bool, typer.Option("--closed", help="a closed loop, to compare with")] = False,
    rate: Annotated[float, typer.Option(min=0.001, help="so many times the profile's rates")] = 1.0,
    time: Annotated[float, typer.Option(min=0.001, help="so many times the profile's seconds")] = 1.0,
    slo: Annotated[Path, typer.Option(help="objectives")] = FILE,
    out: Annotated[Path | None, typer.Option(help="directory for the results")] = None,
    workers: Annotated[int, typer.Option(min=0, help="generators that connect from elsewhere")] = 0,
    port: Annotated[int, typer.Option(help="where they connect to")] = 5557,
    to_log: Annotated[bool, typer.Option("--to-log", help="print the results, packed, at the end")] = False,
) -> None:
    """Send the load, audit every payment, judge. Exit 0: all kept; 1: something broken; 3: the run proves nothing."""
    from loadtests.history import compare, earlier
    from loadtests.junit import junit
    from loadtests.outcome import write_summary
    from loadtests.report.page import write_page
    from loadtests.run import Options, new_directory, results_root, run
    from loadtests.target import NoTarget
    from loadtests.tell import tell

    try:
        made = read_profile(profile).scaled(rate, time)
        directory = out or new_directory(results_root(), made.name)
        outcome = asyncio.run(run(Options(made, directory, url, closed, slo, workers, port), _Teller()))
    except (WrongFile, NoTarget) as error:
        errors.print(str(error), markup=False)
        raise typer.Exit(ExitCode.WRONG_USE) from error
    found = write_summary(outcome)
    comparison = compare(found, earlier(directory, found))
    (directory / "junit.xml").write_text(junit(outcome), encoding="utf-8")
    write_page(outcome, comparison)
    tell(console, outcome, comparison)
    if to_log:
        for line in packed(directory):
            print(line)
    raise typer.Exit(outcome.code)


@main.command()
def compare(
    url: Annotated[
        str | None, typer.Option(help="the other system; without: the reference server, started here")
    ] = None,
    adapter: Annotated[
        str, typer.Option(help="a file with its four functions, or a shipped one")
    ] = "reference",
    ours: Annotated[str | None, typer.Option(help="our platform: as --url of `run`")] = None,
    accounts: Annotated[str, typer.Option(help="numbers of accounts, one contest each")] = "1000,10,2",
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    seconds: Annotated[float, typer.Option(min=0.1, help="of each loop")] = 5.0,
    connections: Annotated[int, typer.Option(min=1, help="in flight in the closed loop")] = 16,
    rate: Annotated[float, typer.Option(min=1, help="per second in the open loop")] = 100.0,
    out: Annotated[Path | None, typer.Option(help="directory for the results")] = None,
) -> None:
    """Ledger transfers here and elsewhere, in turns, in one run. Exit 0: both books balance; 1: one does not."""
    from loadtests.compare.contest import Terms
    from loadtests.compare.run import compare_ledgers
    from loadtests.target import NoTarget

    try:
        numbers = tuple(int(number) for number in accounts.split(","))
        if min(numbers) < 2:
            raise WrongFile("a transfer needs two accounts")
        terms = Terms(numbers, rounds, seconds, connections, rate)
        is_kept = asyncio.run(compare_ledgers(adapter, url, ours, terms, out, console, _Teller()))
    except (WrongFile, NoTarget, ValueError) as error:
        errors.print(str(error), markup=False)
        raise typer.Exit(ExitCode.WRONG_USE) from error
    raise typer.Exit(ExitCode.KEPT if is_kept else ExitCode.BROKEN)


class _Teller:
    """Says what is going on, and nothing twice in a row."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, what: str) -> None:
        if what != self._last and " ready, waiting for " not in what:
            errors.print(f"  {what}", markup=False)
        self._last = what


if __name__ == "__main__":
    main()
