"""Exact percentiles of kept samples. Locust rounds to two digits first; an objective of 250 ms needs better."""

from collections.abc import Iterator, Sequence

CURVE = (0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.9, 99.95, 99.99, 100)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of the sorted values do not exceed; nan of nothing."""
    if not ordered:
        return float("nan")
    rank = max(1, -(-len(ordered) * round(share * 1_000_000) // 1_000_000))  # ceil, without a float's error
    return ordered[min(rank, len(ordered)) - 1]


def curve(ordered: Sequence[float]) -> list[tuple[float, float]]:
    """(percentile, value) at those of CURVE that the number of samples can tell apart."""
    if not ordered:
        return []
    finest = 100 * (1 - 1 / len(ordered))
    return [(p, percentile(ordered, p / 100)) for p in CURVE if p <= finest or p == 100]


def hdr_lines(ordered: Sequence[float]) -> Iterator[str]:
    """The distribution as HdrHistogram's tools print and plot it (`.hgrm`), in milliseconds."""
    yield "       Value     Percentile TotalCount 1/(1-Percentile)\n\n"
    for p, value in curve(ordered):
        share, count = p / 100, max(1, round(len(ordered) * p / 100))
        inverse = f"{1 / (1 - share):14.2f}" if share < 1 else ""
        yield f"{value:12.3f} {share:14.12f} {count:10d} {inverse}\n"
    if ordered:
        mean = sum(ordered) / len(ordered)
        yield f"#[Mean    = {mean:12.3f}, Max     = {ordered[-1]:12.3f}, Total count = {len(ordered)}]\n"
