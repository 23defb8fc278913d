"""The simulated history as a file: what was simulated, whole, with its origin in the metadata."""

from pathlib import Path

import numpy as np
from pyarrow import parquet
from typer.testing import CliRunner

from platform_cli.app import main
from risk_engine.domain.simulator import simulate
from risk_engine.operations.write_simulation import FILE_NAME, read_simulation, write_simulation


def test_the_command_writes_what_the_simulator_says(tmp_path: Path) -> None:
    options = ["--customers", "40", "--terminals", "200", "--days", "30", "--seed", "3"]
    result = CliRunner().invoke(
        main, ["risk", "simulate", "--protocol", "handbook", "--out", str(tmp_path), *options]
    )
    assert result.exit_code == 0, result.output
    table, made = (
        parquet.read_table(tmp_path / FILE_NAME),
        simulate(customers=40, terminals=200, days=30, seed=3),
    )
    assert table.column_names == [
        "tx_seconds", "customer_id", "terminal_id", "amount_minor", "fraud", "scenario",
    ]  # fmt: skip
    assert np.array_equal(table["tx_seconds"].to_numpy(), made.at_s)
    assert np.array_equal(table["fraud"].to_numpy(), made.scenario > 0)
    assert table["fraud"].to_numpy().any()
    assert table.schema.metadata[b"data_sha256"].decode() == made.data_hash
    assert f"{len(made.at_s):,} transactions" in result.output


def test_what_is_read_back_is_the_same_data(tmp_path: Path) -> None:
    made = simulate(customers=40, terminals=200, days=30)
    assert (
        read_simulation(write_simulation(made, tmp_path, protocol="handbook", seed=0)).data_hash
        == made.data_hash
    )


def test_a_second_run_replaces_the_first_and_leaves_nothing_else(tmp_path: Path) -> None:
    for seed in (1, 2):
        made = simulate(customers=5, terminals=50, days=5, seed=seed)
        write_simulation(made, tmp_path, protocol="handbook", seed=seed)
    assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME]
    assert read_simulation(tmp_path / FILE_NAME).data_hash == made.data_hash


def test_an_unknown_protocol_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["risk", "simulate", "--protocol", "other", "--out", str(tmp_path)])
    assert result.exit_code == 2
