"""Charts as inline SVG: no script, no font, no address outside the page. Colours are classes, so that the page's light
and dark themes reach them; every chart has a title and a description for those who do not see it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 960, 62, 16, 22, 26
MARKS = {"fault": "killed", "event": "cluster event"}
X = Callable[[float], float]  # seconds to pixels
Points = Sequence[tuple[float, float | None]]


@dataclass(frozen=True, slots=True)
class Series:
    """One line. `css`: the class that colours it; `steps`: a value holds until the next; None is a gap."""

    name: str
    css: str
    points: Points
    steps: bool = False
    fill: bool = False
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line: something happened at that second."""

    at: float
    label: str
    css: str = "fault"


@dataclass(frozen=True, slots=True)
class Band:
    """A stage, as a shade behind the lines."""

    start: float
    end: float
    label: str


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to pixels, upwards."""

    low: float
    high: float
    height: float
    log: bool = False

    def at(self, value: float) -> float:
        if self.log:
            low, high, value = log10(self.low), log10(self.high), log10(max(value, self.low))
        else:
            low, high = self.low, self.high
        share = (min(value, high) - low) / ((high - low) or 1.0)
        return TOP + self.height * (1 - share)

    def ticks(self) -> list[float]:
        if self.log:
            return [10.0**power for power in range(round(log10(self.low)), round(log10(self.high)) + 1)]
        step = _nice((self.high - self.low) / 4)
        return [self.low + step * n for n in range(floor((self.high - self.low) / step + 1e-9) + 1)]


def linear(values: Sequence[float], height: float) -> Scale:
    """From zero to a round number above the highest."""
    highest = max([*values, 1e-9])
    step = _nice(highest / 4)
    return Scale(0.0, step * max(1, ceil(highest / step - 1e-9)), height)


def logarithmic(values: Sequence[float], height: float) -> Scale:
    """Whole decades around all positive values."""
    positive = [value for value in values if value > 0] or [1.0, 10.0]
    low, high = floor(log10(min(positive))), ceil(log10(max(positive)) + 1e-9)
    return Scale(10.0**low, 10.0 ** max(high, low + 1), height, log=True)


def _nice(step: float) -> float:
    """1, 2 or 5 times a power of ten, at least `step`."""
    power = 10.0 ** floor(log10(step)) if step > 0 else 1.0
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= step * (1 - 1e-9))


def time_chart(
    title: str,
    description: str,
    series: Sequence[Series],
    seconds: float,
    unit: str,
    *,
    height: int = 190,
    log: bool = False,
    bands: Sequence[Band] = (),
    marks: Sequence[Mark] = (),
    limit: tuple[float, str] | None = None,
    whole: bool = False,
) -> str:
    """Lines over the seconds of the run. `limit`: an objective, as a dashed line; `whole`: the values are counts."""
    plot = height - TOP - BOTTOM
    values = [value for one in series for _, value in one.points if value is not None]
    if limit:
        values.append(limit[0])
    scale = logarithmic(values, plot) if log else linear(values, plot)
    width = WIDTH - LEFT - RIGHT

    def x(at: float) -> float:
        return LEFT + width * at / (seconds or 1)

    parts = [
        _bands(bands, x, plot, number_at_top=True),
        _grid(scale, unit, whole=whole),
        _seconds(seconds, x, plot),
    ]
    parts += [_line(one, x, scale) for one in series]
    if limit:
        y = scale.at(limit[0])
        parts.append(f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="limit-label" x="{WIDTH - RIGHT - 4}" y="{y - 4:.1f}">{escape(limit[1])}</text>'
        )
    parts += [_mark(mark, x, plot) for mark in marks]
    parts.append(_hover(series, x, plot, unit))
    return _svg(title, description, height, parts) + _legend(series, marks)


def bars_chart(
    title: str,
    description: str,
    classes: Sequence[tuple[str, str]],
    counts: Sequence[Sequence[int]],
    bucket_s: float,
    seconds: float,
    *,
    height: int = 130,
    bands: Sequence[Band] = (),
    marks: Sequence[Mark] = (),
) -> str:
    """Stacked counts per bucket: counts[class][bucket]; `classes`: (name, css)."""
    plot = height - TOP - BOTTOM
    totals = [sum(one[bucket] for one in counts) for bucket in range(len(counts[0]))] if counts else [0]
    scale = linear([*map(float, totals), 1.0], plot)
    width = WIDTH - LEFT - RIGHT

    def x(at: float) -> float:
        return LEFT + width * at / (seconds or 1)

    parts = [_bands(bands, x, plot), _grid(scale, "errors", whole=True), _seconds(seconds, x, plot)]
    for bucket in range(len(totals)):
        base = 0.0
        for (name, css), values in zip(classes, counts, strict=True):
            if values[bucket]:
                top, bottom = scale.at(base + values[bucket]), scale.at(base)
                left, right = x(bucket * bucket_s), x(min(seconds, (bucket + 1) * bucket_s))
                parts.append(
                    f'<rect class="bar {css}" x="{left:.1f}" y="{top:.1f}" width="{max(1.5, right - left - 0.5):.1f}" '
                    f'height="{bottom - top:.1f}"><title>{bucket * bucket_s:.0f} s: {values[bucket]} {escape(name)}'
                    "</title></rect>"
                )
                base += values[bucket]
    parts += [_mark(mark, x, plot) for mark in marks]
    legend = "".join(f'<li><i class="swatch {css}"></i>{escape(name)}</li>' for name, css in classes)
    return _svg(title, description, height, parts) + (f'<ul class="legend">{legend}</ul>' if legend else "")


def percentile_chart(
    title: str,
    description: str,
    lines: Sequence[tuple[str, str, Sequence[tuple[float, float]]]],
    height: int = 300,
) -> str:
    """Latency by percentile; the axis shows each further nine as wide as the one before, as HdrHistogram plots do."""
    plot, width = height - TOP - BOTTOM, WIDTH - LEFT - RIGHT
    values = [value for _, _, points in lines for _, value in points]
    if not values:
        return ""
    scale = logarithmic(values, plot)
    nines = max((-log10(1 - p / 100) for _, _, points in lines for p, _ in points if p < 100), default=1.0)
    right = max(1.0, nines) * 1.04

    def x(p: float) -> float:
        return LEFT + width * min(1.0, (-log10(1 - p / 100) if p < 100 else right) / right)

    parts = [_grid(scale, "ms")]
    for p in (0, 50, 75, 90, 95, 99, 99.9, 99.99):
        if p and -log10(1 - p / 100) > right:
            continue
        parts.append(
            f'<line class="grid" x1="{x(p):.1f}" x2="{x(p):.1f}" y1="{TOP}" y2="{TOP + plot}"/>'
            f'<text class="tick middle" x="{x(p):.1f}" y="{TOP + plot + 16}">{"min" if p == 0 else f"p{p:g}"}</text>'
        )
    for name, css, points in lines:
        path = " ".join(
            f"{'M' if n == 0 else 'L'}{x(p):.1f},{scale.at(v):.1f}" for n, (p, v) in enumerate(points)
        )
        parts.append(f'<path class="line {css}" d="{path}"/>')
        parts += [
            f'<circle class="dot {css}" cx="{x(p):.1f}" cy="{scale.at(v):.1f}" r="3.2"><title>{escape(name)} '
            f"{'max' if p == 100 else f'p{p:g}'}: {v:,.1f} ms</title></circle>"
            for p, v in points
        ]
    legend = "".join(f'<li><i class="swatch {css}"></i>{escape(name)}</li>' for name, css, _ in lines)
    return _svg(title, description, height, parts) + f'<ul class="legend">{legend}</ul>'


def _svg(title: str, description: str, height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}: {escape(description)}">'
        f"{''.join(parts)}</svg>"
    )


def _legend(series: Sequence[Series], marks: Sequence[Mark]) -> str:
    items = [
        f'<li><i class="swatch {one.css}{" dashed" if one.dashed else ""}"></i>{escape(one.name)}</li>'
        for one in series
    ]
    shown = {mark.css for mark in marks}
    items += [f'<li><i class="swatch {css}"></i>{name}</li>' for css, name in MARKS.items() if css in shown]
    return f'<ul class="legend">{"".join(items)}</ul>'


def _grid(scale: Scale, unit: str, *, whole: bool = False) -> str:
    lines = []
    for value in scale.ticks():
        if whole and value != int(value):
            continue
        y = scale.at(value)
        lines.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick end" x="{LEFT - 8}" y="{y + 4:.1f}">{_short(value)}</text>'
        )
    return "".join(lines) + f'<text class="unit end" x="{LEFT - 8}" y="10">{escape(unit)}</text>'


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}"


def _seconds(seconds: float, x: X, plot: float) -> str:
    step = max(1.0, _nice(seconds / 9))
    return "".join(
        f'<text class="tick middle" x="{x(at):.1f}" y="{TOP + plot + 16}">{at:g} s</text>'
        for at in (step * n for n in range(floor(seconds / step + 1e-9) + 1))
    )


def _bands(bands: Sequence[Band], x: X, plot: float, *, number_at_top: bool = False) -> str:
    parts = []
    for index, band in enumerate(bands):
        if index % 2:
            parts.append(
                f'<rect class="band" x="{x(band.start):.1f}" y="{TOP}" width="{x(band.end) - x(band.start):.1f}" '
                f'height="{plot:.1f}"/>'
            )
        if number_at_top and x(band.end) - x(band.start) > 34:
            middle = (x(band.start) + x(band.end)) / 2
            parts.append(f'<text class="stage" x="{middle:.1f}" y="{TOP - 8}">{escape(band.label)}</text>')
    return "".join(parts)


def _line(one: Series, x: X, scale: Scale) -> str:
    path, is_open, last_y, first_x, last_x = [], False, 0.0, 0.0, 0.0
    areas = []
    for at, value in one.points:
        if value is None:
            is_open = False
            continue
        px, py = x(at), scale.at(value)
        if not is_open:
            path.append(f"M{px:.1f},{py:.1f}")
            first_x = px
        elif one.steps:
            path.append(f"L{px:.1f},{last_y:.1f}L{px:.1f},{py:.1f}")
        else:
            path.append(f"L{px:.1f},{py:.1f}")
        is_open, last_y, last_x = True, py, px
    if one.fill and path:
        bottom = TOP + scale.height
        areas.append(
            f'<path class="area {one.css}" d="{"".join(path)}L{last_x:.1f},{bottom:.1f}L{first_x:.1f},{bottom:.1f}Z"/>'
        )
    dashed = " dashed" if one.dashed else ""
    return "".join(areas) + f'<path class="line {one.css}{dashed}" d="{"".join(path)}"/>'


def _mark(mark: Mark, x: X, plot: float) -> str:
    at = x(mark.at)
    return (
        f'<g class="mark {mark.css}"><line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{TOP + plot:.1f}"/>'
        f'<circle cx="{at:.1f}" cy="{TOP + plot:.1f}" r="4"/><title>{mark.at:.1f} s: {escape(mark.label)}</title></g>'
    )


def _hover(series: Sequence[Series], x: X, plot: float, unit: str) -> str:
    """An invisible column per instant that tells its values when pointed at."""
    columns: dict[float, list[str]] = {}
    for one in series:
        for at, value in one.points:
            if value is not None:
                columns.setdefault(at, []).append(f"{one.name}: {value:,.1f} {unit}")
    instants = sorted(columns)
    if len(instants) > 400:
        return ""
    parts = []
    for index, at in enumerate(instants):
        until = instants[index + 1] if index + 1 < len(instants) else at + 1
        text = "\n".join([f"{at:g} s", *columns[at]])
        parts.append(
            f'<rect class="hover" x="{x(at):.1f}" y="{TOP}" width="{max(1.0, x(until) - x(at)):.1f}" '
            f'height="{plot:.1f}"><title>{escape(text)}</title></rect>'
        )
    return "".join(parts)
