"""Which columns each number is made of, read off the very SQL by sqlglot. docs/data-lineage.md is written from it:
`python -m data_pipeline.store.column_lineage > docs/data-lineage.md` (`make lineage`)."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from data_pipeline.domain.lineage import JOBS, STORES
from data_pipeline.domain.questions import ask
from data_pipeline.domain.reports import REPORTS
from data_pipeline.store import tables
from data_pipeline.store.invariants import ROLLUP_DIFFERENCES
from data_pipeline.store.reports import sql_of

ROWS: Final = "(rows counted)"
HEAD: Final = """# Where each number comes from

Written by `make lineage` from the code: jobs from `domain/lineage.py`, columns from the SQL that Postgres gets, read by
sqlglot. Do not edit. What a condition in a measure looks at counts as its source; what only chooses rows (range and
filters) does not.
"""


@cache
def report_columns() -> dict[str, list[tuple[str, list[str]]]]:
    """Report -> its measures, each with the columns that it is made of."""
    day = datetime(2026, 11, 23, tzinfo=UTC)
    return {
        name: _sources(sql_of(ask(name, day, day.replace(day=24))), [one.name for one in report.measures])
        for name, report in REPORTS.items()
    }


def rollup_columns() -> list[tuple[str, list[str]]]:
    """The roll-up's columns as the invariant computes them from the facts: the consumer's arithmetic must equal it."""
    import sqlglot
    from sqlglot import exp

    whole = sqlglot.parse_one(str(ROLLUP_DIFFERENCES), dialect="postgres")
    [detail] = [cte.this for cte in whole.find_all(exp.CTE) if cte.alias == "detail"]
    return _sources(detail, detail.named_selects)


def page() -> str:
    """The whole document."""
    parts = [HEAD, "## Jobs\n", _jobs(), "\n## Roll-ups\n", _table("rollup", rollup_columns())]
    parts.append(
        "\n`hour` and `day` rows are made in the same step. `rollup_correction` has the same measures, signed, of"
        " payments whose day was closed ([late data](data-quality.md#late-data)).\n"
    )
    parts.append("\n## Reports\n")
    for name, columns in report_columns().items():
        parts += [f"\n### `{name}`\n", _table("measure", columns)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)) + "\n"


def _sources(sql: Any, columns: Sequence[str]) -> list[tuple[str, list[str]]]:
    import sqlglot
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    schema = {
        tables.SCHEMA: {
            table.name: {column.name: "text" for column in table.columns}
            for table in tables.metadata.sorted_tables
        }
    }
    parsed = sqlglot.parse_one(sql, dialect="postgres") if isinstance(sql, str) else sql
    qualified = qualify(parsed, schema=schema, dialect="postgres", validate_qualify_columns=False)
    scope = build_scope(qualified)
    return [
        (column, _leaves(lineage(column, qualified, scope=scope, dialect="postgres", copy=False)))
        for column in columns
    ]


def _leaves(node: Any) -> list[str]:
    from sqlglot import exp

    found = set()
    for one in node.walk():
        if isinstance(one.expression, exp.Table) and not one.downstream:
            column = one.name.rpartition(".")[2].strip('"')
            found.add(ROWS if column in ("*", "") else f"{one.expression.name}.{column}")
    return sorted(found) or [ROWS]


def _table(heading: str, columns: Sequence[tuple[str, list[str]]]) -> str:
    lines = [f"| {heading} | made of |", "|---|---|"]
    lines += [
        f"| `{name}` | {', '.join(one if one == ROWS else f'`{one}`' for one in sources)} |"
        for name, sources in columns
    ]
    return "\n".join(lines)


def _jobs() -> str:
    lines = ["```mermaid", "flowchart LR"]
    lines += [f'    {_id(name)}[("{name}")]' for name in STORES]
    for job in JOBS:
        lines.append(f'    {_id(job.name)}(["{job.name}"])')
        lines += [f"    {_id(name)} --> {_id(job.name)}" for name in job.inputs]
        lines += [f"    {_id(job.name)} --> {_id(name)}" for name in job.outputs]
    lines.append("```\n")
    lines += ["| store | what |", "|---|---|", *(f"| `{name}` | {what} |" for name, what in STORES.items())]
    return "\n".join(lines)


def _id(name: str) -> str:
    return name.replace("-", "_")


if __name__ == "__main__":
    sys.stdout.write(page())
