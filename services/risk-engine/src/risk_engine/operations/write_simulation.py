"""Write a simulated history as Parquet: `platform risk simulate --protocol handbook --out DIR`."""

from pathlib import Path

from risk_engine.domain.simulator import STARTS_AT, Transactions

FILE_NAME = "transactions.parquet"
ROWS_PER_GROUP = 100_000


class NotInstalled(Exception):
    """A library is missing that only training needs; the message says how to get it."""


def write_simulation(transactions: Transactions, directory: Path, *, protocol: str, seed: int) -> Path:
    """One file, ordered by time, with the columns `tx_seconds` (from 2018-04-01T00:00Z), `customer_id`, `terminal_id`,
    `amount_minor` (cents), `fraud` and `scenario` (0 = legitimate); its metadata name protocol, seed and data hash.

    It appears whole or not at all. Raises NotInstalled without pyarrow, which the service's image does not have.
    """
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        raise NotInstalled(
            "Parquet needs the engine's extra `training`: make bootstrap installs it"
        ) from error
    table = arrow.table(
        {
            "tx_seconds": arrow.array(transactions.at_s, arrow.int32()),
            "customer_id": arrow.array(transactions.customer, arrow.int32()),
            "terminal_id": arrow.array(transactions.terminal, arrow.int32()),
            "amount_minor": arrow.array(transactions.amount_minor, arrow.int64()),
            "fraud": arrow.array(transactions.scenario > 0, arrow.bool_()),
            "scenario": arrow.array(transactions.scenario, arrow.int8()),
        }
    ).replace_schema_metadata(
        {
            "protocol": protocol,
            "seed": str(seed),
            "starts_at": STARTS_AT.isoformat(),
            "data_sha256": transactions.data_hash,
        }
    )
    directory.mkdir(parents=True, exist_ok=True)
    written, unfinished = directory / FILE_NAME, directory / f".{FILE_NAME}.unfinished"
    parquet.write_table(table, unfinished, compression="zstd", row_group_size=ROWS_PER_GROUP)
    return unfinished.replace(written)


def read_simulation(file: Path) -> Transactions:
    """What `write_simulation` wrote. Raises NotInstalled without pyarrow."""
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise NotInstalled(
            "Parquet needs the engine's extra `training`: make bootstrap installs it"
        ) from error
    table = parquet.read_table(file)
    columns = {name: table[name].to_numpy().astype("int64") for name in table.column_names}
    return Transactions(
        at_s=columns["tx_seconds"],
        customer=columns["customer_id"],
        terminal=columns["terminal_id"],
        amount_minor=columns["amount_minor"],
        scenario=columns["scenario"],
        frauds_added=(0, 0, 0),  # not in the file: who was relabelled is gone
    )
