"""docs/reports-api.md tells of every report what the catalogue says, formula by formula."""

from __future__ import annotations

from pathlib import Path

from data_pipeline.domain.report_definition import Report
from data_pipeline.domain.reports import REPORTS

PAGE = Path(__file__).parents[4] / "docs/reports-api.md"


def line_of(report: Report) -> str:
    """The report as a row of the page's table."""
    splits = ", ".join(f"`{name}`" for name in report.dimensions) or "-"
    options = ", ".join(f"`{name}`" for name in report.options) or "-"
    formulas = "; ".join(f"`{ratio.name}` = {ratio.formula}" for ratio in report.ratios) or "-"
    return f"| `{report.name}` | `{report.facts}.{report.clock}` | {splits} | {options} | {formulas} |"


def test_the_page_has_the_catalogue() -> None:
    page = PAGE.read_text().splitlines()
    assert [line for line in map(line_of, REPORTS.values()) if line not in page] == []
