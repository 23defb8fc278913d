"""What a comparison says at its end."""

from collections.abc import Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

from loadtests.compare.contest import Measured, Ratio, Terms


def tell(console: Console, found: Sequence[Measured], lines: Sequence[Ratio], terms: Terms) -> None:
    """Medians of the rounds, ratios with the band of the rounds, and what the books say."""
    loops = f"closed: {terms.connections} in flight; open: {terms.rate:g}/s"
    title = f"{terms.rounds} rounds of {terms.seconds:g} s; {loops}"
    table = Table("accounts", "system", title=title, show_edge=False)
    for name in (
        "transfers/s",
        "closed p99 ms",
        "open p50 ms",
        "open p99 ms",
        "transfers",
        "repeats",
        "books",
    ):
        table.add_column(name, justify="right")
    for one in found:
        table.add_row(
            f"{one.accounts:,}",
            one.name,
            f"{median(one.per_s):,.0f}",
            *(f"{median(values):,.1f}" for values in (one.closed_p99_ms, one.open_p50_ms, one.open_p99_ms)),
            f"{len({transfer.key for transfer in one.done}):,}",
            f"{one.repeats:,}",
            "[red]WRONG[/]" if one.complaints else "balance",
        )
    console.print(table)
    for line in lines:
        console.print(
            f"  {line.accounts:>6,} accounts, {line.name:<25} {line.value:6.2f}x"
            f"  ({line.low:.2f} to {line.high:.2f} by turn): {line.word}"
        )
    for one in found:
        for complaint in one.complaints:
            console.print(f"  {one.name}, {one.accounts:,} accounts: {complaint}", style="red", markup=False)
