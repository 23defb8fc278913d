"""What happened when: rate, latency both ways, errors, replicas and events, all on one axis."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from loadtests.outcome import Outcome
from loadtests.percentiles import percentile
from loadtests.report.chart import Band, Mark, Points, Series, bars_chart, time_chart
from loadtests.samples import ERRORS, Sample

BUCKETS_MAX = 240
CLASS_COLOURS = {
    "shed": "orange",
    "limited": "violet",
    "refused": "teal",
    "failed": "red",
    "timeout": "blue",
    "reset": "grey",
    "wrong": "red",
    "unfinished": "grey",
}
TOLD = frozenset(
    {
        "Killing",
        "Started",
        "Unhealthy",
        "BackOff",
        "OOMKilling",
        "SuccessfulRescale",
        "FailedScheduling",
        "Evicted",
    }
)
LINE_COLOURS = ("blue", "orange", "green", "violet", "teal", "grey")


@dataclass(frozen=True, slots=True)
class Axis:
    """What all charts have below them: the run in `buckets` of `bucket_s` seconds, its stages, and what happened."""

    seconds: float
    bucket_s: float
    buckets: int
    bands: Sequence[Band]
    marks: Sequence[Mark]


def charts_over_time(outcome: Outcome) -> list[tuple[str, str, str]]:
    """(title, caption, SVG) in the order of the page."""
    axis = _axis(outcome)
    return [_rate(outcome, axis), _latency(outcome, axis), _errors(outcome, axis), *_replicas(outcome, axis)]


def _axis(outcome: Outcome) -> Axis:
    """The run, and as much after it as it took until the last answer, within reason."""
    last = max((one.ended_s for one in outcome.begun), default=0.0)
    seconds = max(outcome.profile.seconds, min(last, outcome.profile.seconds * 1.5))
    bucket_s = float(max(1, ceil(seconds / BUCKETS_MAX)))
    bands = [
        Band(start, start + stage.seconds, stage.name)
        for start, stage in zip(outcome.profile.starts(), outcome.profile.stages, strict=True)
    ]
    return Axis(seconds, bucket_s, max(1, ceil(seconds / bucket_s)), bands, _marks(outcome, seconds))


def _rate(outcome: Outcome, axis: Axis) -> tuple[str, str, str]:
    target: list[tuple[float, float | None]] = []
    for start, stage in zip(outcome.profile.starts(), outcome.profile.stages, strict=True):
        target += [(start, stage.rate), (start + stage.seconds, stage.last_rate)]
    wrong = {sample.number for sample in outcome.samples if sample.is_error}
    begun = _per_second((one.begun_s for one in outcome.begun), axis)
    good = _per_second((one.ended_s for one in outcome.begun if one.number not in wrong), axis)
    series = [
        Series("target", "grey", target, dashed=True),
        Series("begun", "blue", begun, steps=True, fill=True),
        Series("ended well", "green", good, steps=True),
    ]
    return (
        "Rate: target and achieved",
        "Customers who should have come, who were begun, and who had all their answers, per second.",
        time_chart(
            "Rate",
            "target, begun and ended per second",
            series,
            axis.seconds,
            "per s",
            bands=axis.bands,
            marks=axis.marks,
        ),
    )


def _latency(outcome: Outcome, axis: Axis) -> tuple[str, str, str]:
    samples = [sample for sample in outcome.samples if sample.step != "webhook"]
    intended, sent = (
        _by_bucket(samples, axis.bucket_s, of_service=False),
        _by_bucket(samples, axis.bucket_s, of_service=True),
    )
    series = [
        Series("p99 from the intended start", "blue", _percentiles(intended, 0.99, axis)),
        Series("p50 from the intended start", "teal", _percentiles(intended, 0.5, axis)),
        Series("p99 service time", "orange", _percentiles(sent, 0.99, axis), dashed=True),
    ]
    limit = next(
        (one.allowed for one in outcome.objectives if (one.subject, one.limit) == ("all", "p99_ms")), None
    )
    svg = time_chart(
        "Latency",
        "percentiles per second from the intended start and of the service time, logarithmic milliseconds",
        series,
        axis.seconds,
        "ms",
        height=230,
        log=True,
        bands=axis.bands,
        marks=axis.marks,
        limit=None if limit is None else (limit, "objective p99"),
    )
    caption = "Where the dashed line lies below, requests waited to be sent: a closed loop would not tell."
    return "Latency, both ways (logarithmic)", caption, svg


def _errors(outcome: Outcome, axis: Axis) -> tuple[str, str, str]:
    names = [name for name in ERRORS if any(sample.outcome == name for sample in outcome.samples)]
    counts = [[0] * axis.buckets for _ in names]
    for sample in outcome.samples:
        if sample.outcome in names:
            bucket = min(axis.buckets - 1, max(0, int(sample.done_s / axis.bucket_s)))
            counts[names.index(sample.outcome)][bucket] += 1
    classes = [(name, CLASS_COLOURS[name]) for name in names]
    svg = bars_chart(
        "Errors",
        "failed requests by class over time",
        classes,
        counts,
        axis.bucket_s,
        axis.seconds,
        bands=axis.bands,
        marks=axis.marks,
    )
    caption = "By class, when the answer came. Declines are not among them: they are what was asked for."
    return "Errors by class", caption if names else "No request failed.", svg


def _replicas(outcome: Outcome, axis: Axis) -> list[tuple[str, str, str]]:
    """Only of what an autoscaler looks after; nothing without a cluster."""
    scaled = {line["hpa"] for line in outcome.timeline if "hpa" in line}
    desired: dict[str, list[tuple[float, float | None]]] = defaultdict(list)
    ready: dict[str, list[tuple[float, float | None]]] = defaultdict(list)
    cpu: dict[str, list[tuple[float, float | None]]] = defaultdict(list)
    for line in outcome.timeline:
        at = line["at"] - outcome.begin_at
        if not 0 <= at <= axis.seconds:
            continue
        if "hpa" in line:
            desired[line["hpa"]].append((at, float(line["desired"])))
            if line["cpu_percent"] is not None:
                cpu[line["hpa"]].append((at, float(line["cpu_percent"])))
        elif line.get("deployment") in scaled:
            ready[line["deployment"]].append((at, float(line["ready"])))
    if not desired:
        return []
    lines = []
    for colour, name in zip(LINE_COLOURS * 4, sorted(desired), strict=False):
        lines.append(Series(f"{name}: wanted", colour, desired[name], steps=True, dashed=True))
        lines.append(Series(f"{name}: ready", colour, ready[name], steps=True))
    replicas = time_chart(
        "Replicas",
        "replicas wanted by the autoscaler and ready",
        lines,
        axis.seconds,
        "pods",
        bands=axis.bands,
        marks=axis.marks,
        whole=True,
    )
    load = time_chart(
        "CPU",
        "utilization as the autoscaler sees it",
        [
            Series(name, colour, cpu[name])
            for colour, name in zip(LINE_COLOURS * 4, sorted(cpu), strict=False)
        ],
        axis.seconds,
        "%",
        bands=axis.bands,
        marks=axis.marks,
    )
    return [
        ("Replicas", "What the autoscaler wants (dashed) and what is ready to serve.", replicas),
        (
            "CPU as the autoscaler sees it",
            "In per cent of what the pods request; it is measured every 15 s.",
            load,
        ),
    ]


def cluster_events(outcome: Outcome) -> list[tuple[float, str, str, str]]:
    """(second, what, object, message) of faults that were inflicted and of what the cluster told."""
    found = [
        (fault["at"] - outcome.begin_at, "killed", fault["kill"], fault["what"]) for fault in outcome.faults
    ]
    found += [
        (line["at"] - outcome.begin_at, line["event"], f"{line['kind']} {line['object']}", line["message"])
        for line in outcome.timeline
        if line.get("event") in TOLD
    ]
    return sorted(found)


def _marks(outcome: Outcome, seconds: float) -> list[Mark]:
    return [
        Mark(at, f"{what} {name}", "fault" if what == "killed" else "event")
        for at, what, name, _ in cluster_events(outcome)
        if 0 <= at <= seconds
    ][:80]


def _per_second(times: Iterable[float], axis: Axis) -> Points:
    counts = [0] * axis.buckets
    for at in times:
        if 0 <= at < axis.buckets * axis.bucket_s:
            counts[int(at / axis.bucket_s)] += 1
    points = [(bucket * axis.bucket_s, count / axis.bucket_s) for bucket, count in enumerate(counts)]
    return [*points, (axis.buckets * axis.bucket_s, points[-1][1])]  # the last step has a width, too


def _by_bucket(samples: Iterable[Sample], bucket_s: float, *, of_service: bool) -> dict[int, list[float]]:
    groups: dict[int, list[float]] = defaultdict(list)
    for sample in samples:
        at, value = (
            (sample.sent_s, sample.service_ms) if of_service else (sample.intended_s, sample.latency_ms)
        )
        groups[int(at / bucket_s)].append(value)
    for values in groups.values():
        values.sort()
    return groups


def _percentiles(groups: dict[int, list[float]], share: float, axis: Axis) -> Points:
    return [
        (b * axis.bucket_s, percentile(groups[b], share) if b in groups else None)
        for b in range(axis.buckets)
    ]
