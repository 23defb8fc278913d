"""History as Parquet, read by DuckDB in this process or by Spark: the engines that report expressions run on beside
Postgres.

DuckDB takes one writer or many readers of a database file, so there is none: it reads Parquet by path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ibis.expr import types as ir


class Engine(StrEnum):
    """Who computes a report over history."""

    DUCKDB = "duckdb"
    SPARK = "spark"


class EngineMissing(RuntimeError):
    """Spark is asked for and is not installed here, or there is no Java to run it."""


@dataclass(frozen=True, slots=True)
class History:
    """An open engine. `micros` makes microseconds since 1970 of a time, as this engine does it; `rows` are those of an
    expression, in memory; `view` calls Parquet files by one name, columns that an older file lacks as NULL."""

    connection: Any
    micros: Callable[[Any], Any]
    rows: Callable[[ir.Table], list[dict[str, Any]]]
    view: Callable[[str, Sequence[str]], None]

    def parquet(self, path: str) -> ir.Table:
        """The Parquet files below `path` (a directory, or a pattern) as one table, its times as microseconds.

        DuckDB without its ICU extension, which its wheel does not bring, has no function of times with a zone; what
        the report expressions need of a time is a number anyway.
        """
        return self._with_micros(self.connection.read_parquet(path))

    def files(self, name: str, paths: Sequence[str], columns: Sequence[str]) -> ir.Table:
        """These files, one at least, as one table of these columns, its times as microseconds."""
        self.view(name, paths)
        return self._with_micros(self.connection.table(name).select(*columns))

    def _with_micros(self, table: ir.Table) -> ir.Table:
        times = [name for name in table.columns if table[name].type().is_timestamp()]
        return table.mutate(**{name: self.micros(table[name]) for name in times})

    def close(self) -> None:
        self.connection.disconnect()


def open_history(engine: Engine, *, memory_limit: str = "1GB", threads: int = 1) -> History:
    """Start the engine. Raises EngineMissing."""
    return _duckdb(memory_limit, threads) if engine is Engine.DUCKDB else _spark(memory_limit, threads)


def _duckdb(memory_limit: str, threads: int) -> History:
    import ibis

    connection = ibis.duckdb.connect(threads=threads, memory_limit=memory_limit)

    def view(name: str, paths: Sequence[str]) -> None:
        import fsspec

        if (
            "://" in paths[0]
        ):  # by fsspec, as the files were written: DuckDB's own way is an extension to be fetched
            connection.con.register_filesystem(fsspec.core.url_to_fs(paths[0])[0])
        listed = ", ".join(f"'{path.replace(chr(39), chr(39) * 2)}'" for path in paths)
        connection.con.execute(
            f"CREATE TEMP VIEW {name} AS SELECT * FROM"  # noqa: S608 - a table's name, and paths of our own
            f" read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
        )

    return History(
        connection, _micros_by("epoch_us"), lambda asked: connection.to_pyarrow(asked).to_pylist(), view
    )


def _spark(memory_limit: str, threads: int) -> History:
    import ibis

    try:
        from pyspark.errors import PySparkRuntimeError
        from pyspark.sql import SparkSession
    except ImportError as missing:
        raise EngineMissing("ENGINE=spark needs `data-pipeline[spark]`, which is not installed.") from missing

    settings = {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(2 * threads),
        "spark.driver.memory": memory_limit.removesuffix("B"),
        "spark.ui.enabled": "false",
        "spark.sql.ansi.enabled": "true",
    }
    builder = SparkSession.builder.master(f"local[{threads}]").appName("reports")
    for name, value in settings.items():
        builder = builder.config(name, value)
    try:
        session = builder.getOrCreate()
    except (PySparkRuntimeError, OSError) as missing:
        raise EngineMissing("ENGINE=spark needs Java 17 (Debian: openjdk-17-jre-headless).") from missing
    connection = ibis.pyspark.connect(session)

    def view(name: str, paths: Sequence[str]) -> None:
        found = session.read.option("mergeSchema", "true").parquet(*paths)
        found.createOrReplaceTempView(name)

    # Not `to_pyarrow`: it goes by way of pandas, which makes numbers with a fraction of integers that may be NULL.
    return History(
        connection,
        _micros_by("unix_micros"),
        lambda asked: [row.asDict() for row in session.sql(connection.compile(asked)).collect()],
        view,
    )


def _micros_by(name: str) -> Callable[[Any], Any]:
    """The engine's own function from a time to microseconds since 1970."""
    import ibis

    def micros(at):  # type: ignore[no-untyped-def]  # Ibis reads the signature below
        """Built into the engine."""

    made: Callable[[Any], Any] = ibis.udf.scalar.builtin(
        micros, name=name, signature=(("timestamp('UTC')",), "int64")
    )
    return made
