"""`platform risk simulate`: simulated histories for models and benchmarks."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Protocol(StrEnum):
    """Whose data set is simulated."""

    HANDBOOK = "handbook"  # the Fraud Detection Handbook's: 1,754,155 transactions of 183 days


def simulate_history(
    out: Annotated[Path, typer.Option(help="directory for transactions.parquet", file_okay=False)],
    protocol: Annotated[Protocol, typer.Option(help="whose data set")] = Protocol.HANDBOOK,
    customers: Annotated[int, typer.Option(min=1, max=50_000)] = 5_000,
    terminals: Annotated[int, typer.Option(min=2, max=100_000)] = 10_000,
    days: Annotated[int, typer.Option(min=2, max=366)] = 183,
    seed: Annotated[int, typer.Option(min=0, max=4_000, help="0 is the handbook's own data")] = 0,
) -> None:
    """Write a simulated history with known frauds as Parquet; the whole of it takes about 15 s on one core."""
    from risk_engine.domain.simulator import simulate  # here: NumPy takes a moment to import
    from risk_engine.operations.write_simulation import NotInstalled, write_simulation

    made = simulate(customers=customers, terminals=terminals, days=days, seed=seed)
    try:
        file = write_simulation(made, out, protocol=protocol.value, seed=seed)
    except NotInstalled as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    share = (made.scenario > 0).mean()
    typer.echo(f"{file}: {len(made.at_s):,} transactions, {share:.2%} of them fraud, {made.data_hash[:12]}")
