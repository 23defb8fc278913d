"""The windows as SQL, from the same definition as the Lua program: for training, backtests and audits over history.

Two relations are named: `points` (id, entity, at_ms), the moments that are asked about, and `events` (entity, at_ms,
amount, card, country), what one series would have kept. Caps are not applied: where a series is `saturated`, Redis
counts less. Of two events of one millisecond each sees the other here.
"""

from risk_engine.domain.velocity import HOUR_MS, Aggregate, Series, Window

_AGGREGATES = {
    Aggregate.COUNT: "count(*)",
    Aggregate.SUM: "sum(e.amount)",
    Aggregate.LARGEST: "max(e.amount)",
    Aggregate.OLDEST_HOURS: "min(e.at_ms)",
    Aggregate.NEWEST_HOURS: "max(e.at_ms)",
    Aggregate.DISTINCT_CARDS: "count(DISTINCT nullif(e.card, ''))",
    Aggregate.DISTINCT_COUNTRIES: "count(DISTINCT nullif(e.country, ''))",
}


def window_sql(series: Series, *, points: str = "points", events: str = "events") -> str:
    """A SELECT of each point's id and every window of the series, under the names that rules read. By an index on
    (entity, at_ms) of `events`."""
    columns = ", ".join(f"w.{window.name}" for window in series.windows)
    made = ",\n           ".join(_column(window) for window in series.windows)
    oldest = series.horizon_ms
    return f"""
    SELECT p.id, {columns}
    FROM {points} p CROSS JOIN LATERAL (
        SELECT {made}
        FROM {events} e
        WHERE e.entity = p.entity AND e.at_ms > p.at_ms - {oldest} AND e.at_ms <= p.at_ms) w
    """  # noqa: S608 - names of our own


def _column(window: Window) -> str:
    """Left-open, closed on the right, `delay_ms` ago."""
    newest = f"e.at_ms <= p.at_ms - {window.delay_ms}"
    oldest = f"e.at_ms > p.at_ms - {window.delay_ms + window.length_ms}"
    found = f"{_AGGREGATES[window.aggregate]} FILTER (WHERE {newest} AND {oldest})"
    if window.aggregate in (Aggregate.OLDEST_HOURS, Aggregate.NEWEST_HOURS):
        found = f"(p.at_ms - {found}) / {HOUR_MS}"
    return f"coalesce({found}, 0) AS {window.name}"
