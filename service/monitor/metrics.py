"""The node's status as Prometheus metrics. Labels come from settings and program, never from a sender."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import accumulate, product

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from typing_extensions import override

from service.config import Settings
from service.monitor.checks import ROLES
from service.monitor.node_status import DatabaseStatus, NodeStatus
from service.store import BOUNDS_S, EventKind, Histogram, QueueStatistics
from service.store.monitoring.queue_statistics import NOT_TAKEN, ON_ITS_WAY, UNDER_WAY, WAITING_FOR_SOMETHING
from service.text import shown

OUTCOMES = ("sent", "failed", "rejected")
KINDS_OF_IMAGES = ("ct", "other")
STAGES = ("quiet", "queued", "read", "predict", "derive", "export", "write", "validate", "sending")
Samples = Iterable[tuple[Sequence[str], float]]


class _Shown(Collector):
    """Passes one poll's metrics to prometheus_client."""

    def __init__(self, settings: Settings, view: NodeStatus) -> None:
        self._settings = settings
        self._view = view

    @override
    def collect(self) -> Iterator[Metric]:
        yield from _node(self._settings, self._view)
        yield from _rules(self._settings)
        if self._view.database_status is not None:
            yield from _roles(self._view.database_status, self._view.at, self._settings.advanced.silent_s)
            yield from _queue(self._settings, self._view.database_status.figures, self._view.at)
            yield from _counts(self._settings, self._view.database_status)
            yield from _times(self._settings, self._view.database_status.figures)


def metrics_page(settings: Settings, view: NodeStatus) -> bytes:
    """Return the status in Prometheus text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Shown(view.ruled(settings), view))
    return generate_latest(registry)


def _node(settings: Settings, view: NodeStatus) -> Iterator[Metric]:
    """Yield the metrics of the node's parts."""
    yield _gauge("look_timestamp_seconds", "Time of the last poll.", [((), view.at.timestamp())])
    yield _gauge("ready", "1 if every required check passes.", [((), float(view.is_ready))])
    for name, metric, what in (
        ("database", "database_up", "1 if the database answers."),
        ("storage", "storage_writable", "1 if a file can be made durable in the storage folder."),
        ("receiver", "receiver_up", "1 if the receiver answers."),
        ("model server", "model_server_up", "1 if the model server answers."),
    ):
        yield _gauge(metric, what, [((), float(view.check(name).ok))])
    if view.disk is not None:
        retention, size = settings.retention, view.disk.size_bytes
        warn = retention.warned_below(size)
        yield _gauge("storage_warn_below_bytes", "Less free space than this is an alarm.", [((), warn)])
        refuse = retention.refused_below(size)
        yield _gauge(
            "storage_refuse_below_bytes", "New objects are refused below this.", [((), float(refuse))]
        )
        yield _gauge(
            "storage_free_bytes", "Free space at the storage folder.", [((), float(view.disk.free_bytes))]
        )
        yield _gauge("storage_size_bytes", "Size of its file system.", [((), float(view.disk.size_bytes))])
    up = [((echo.name,), float(echo.ok)) for echo in view.echoes]
    yield _gauge("peer_up", "1 if the peer answered the last C-ECHO (monitor.echo_s).", up, ("peer",))
    took = [((echo.name,), echo.duration_s) for echo in view.echoes]
    yield _gauge("peer_echo_seconds", "How long its last answer took.", took, ("peer",))


def _rules(settings: Settings) -> Iterator[Metric]:
    levels = [((rule.name,), rule.alarm_s) for rule in settings.rules if rule.alarm_s is not None]
    what = "Alarm level of last slice to delivered (alarm_s of the rule)."
    yield _gauge("last_slice_to_delivered_alarm_seconds", what, levels, ("rule",))
    held = settings.monitor.delivery_alarm_s
    yield _gauge("delivery_alarm_seconds", "monitor.delivery_alarm_s of the settings.", [((), held)])


def _roles(database_status: DatabaseStatus, now: datetime, silent_s: float) -> Iterator[Metric]:
    alive = [sign.role for sign in database_status.signs if (now - sign.at).total_seconds() <= silent_s]
    roles = sorted({*ROLES, *alive})
    up = [((role,), float(role in alive)) for role in roles]
    yield _gauge("role_up", "1 if a process of the role has a recent heartbeat.", up, ("role",))
    count = [((role,), float(alive.count(role))) for role in roles]
    yield _gauge("role_processes", "Processes of the role with a recent heartbeat.", count, ("role",))


def _queue(settings: Settings, figures: QueueStatistics, now: datetime) -> Iterator[Metric]:
    rules = ["", *(rule.name for rule in settings.rules)]
    jobs = {(state.value, rule): 0.0 for state, rule in product(WAITING_FOR_SOMETHING, rules)}
    jobs |= {(one.state.value, one.rule): float(one.count) for one in figures.jobs}
    by_state = ("state", "rule")
    yield _gauge("jobs", "Unfinished jobs; rule is empty until one is chosen.", jobs.items(), by_state)
    ages = [((one.state.value, one.rule), _age_s(one.oldest_at, now)) for one in figures.jobs]
    yield _gauge("oldest_job_age_seconds", "Time since the last slice of the oldest job.", ages, by_state)
    undelivered = dict.fromkeys(((rule.name,) for rule in settings.rules), 0.0)
    for one in figures.jobs:
        if one.state in ON_ITS_WAY:
            undelivered[one.rule,] = max(undelivered.get((one.rule,), 0.0), _age_s(one.oldest_at, now))
    what = "Time since the last slice of the oldest job that is queued, running, retrying or delivering."
    yield _gauge("undelivered_age_seconds", what, undelivered.items(), ("rule",))
    names = settings.destination_names
    under_way = {(name, state.value): 0.0 for name, state in product(names, UNDER_WAY)}
    under_way |= {(one.destination, one.state.value): float(one.count) for one in figures.deliveries}
    yield _gauge("deliveries", "Unfinished deliveries.", under_way.items(), ("destination", "state"))
    oldest = dict.fromkeys(((name,) for name in names), 0.0)
    for line in (line for line in figures.deliveries if line.state in NOT_TAKEN):
        age_s = _age_s(line.oldest_at, now)
        oldest[line.destination,] = max(oldest.get((line.destination,), 0.0), age_s)
    what = "Age of the oldest delivery that the destination has not taken."
    yield _gauge("oldest_delivery_age_seconds", what, oldest.items(), ("destination",))
    if figures.last_image_at is not None:
        last = figures.last_image_at.timestamp()
        yield _gauge("last_image_timestamp_seconds", "When the last image was received.", [((), last)])


def _counts(settings: Settings, database_status: DatabaseStatus) -> Iterator[Metric]:
    figures = database_status.figures
    rules = ["", *(rule.name for rule in settings.rules)]
    names = settings.destination_names
    events = {(rule, kind.value): 0.0 for rule, kind in product(rules, EventKind)}
    events |= {(rule, kind): count for rule, kind, count in figures.events}
    yield _counter("job_events", "Events in all jobs' histories.", events.items(), ("rule", "kind"))
    attempts = dict.fromkeys(product(names, OUTCOMES), 0.0)
    attempts |= {(name, outcome): count for name, outcome, count in figures.attempts}
    yield _counter("delivery_attempts", "Ended attempts.", attempts.items(), ("destination", "outcome"))
    kept = {kind: (count, size) for kind, count, size in figures.images}
    images = [((kind,), kept.get(kind, (0.0, 0.0))[0]) for kind in KINDS_OF_IMAGES]
    yield _counter("images_received", "Objects received and stored.", images, ("kind",))
    sizes = [((kind,), kept.get(kind, (0.0, 0.0))[1]) for kind in KINDS_OF_IMAGES]
    yield _counter("received_bytes", "Bytes received and stored.", sizes, ("kind",))
    refused = float(sum(one.count for one in figures.refused))
    yield _gauge("images_refused", "Objects refused by the receiver in the last 24 hours.", [((), refused)])
    damaged = float(len(figures.damaged))
    yield _gauge("damaged_files", "Stored files found missing or damaged.", [((), damaged)])
    unsent = {(one.name,): float(database_status.unsent.get(one.name, 0)) for one in settings.monitor.notify}
    yield _gauge("notifications_unsent", "Notifications waiting to be sent.", unsent.items(), ("recipient",))


def _times(settings: Settings, figures: QueueStatistics) -> Iterator[Metric]:
    """Yield the histograms. All start at zero: otherwise Prometheus would not see the first value as an increase."""
    rules = [rule.name for rule in settings.rules]
    yield _histogram(
        "stage_seconds",
        "Duration of each stage that succeeded.",
        _begun_with_zeros(figures.stages, product(rules, STAGES)),
        ("rule", "stage"),
    )
    yield _histogram(
        "last_slice_to_delivered_seconds",
        "From the last slice (or the order to rerun) until every destination had the structure set.",
        _begun_with_zeros(figures.latencies, product(rules, [""])),
        ("rule",),
    )


def _begun_with_zeros(lines: Iterable[Histogram], expected: Iterable[tuple[str, str]]) -> list[Histogram]:
    nothing = tuple(0.0 for _ in range(len(BOUNDS_S) + 1))
    found = {
        (rule, detail): Histogram(label=rule, detail=detail, buckets=nothing, sum_s=0.0)
        for rule, detail in expected
    }
    return list({**found, **{(line.label, line.detail): line for line in lines}}.values())


def _histogram(name: str, what: str, lines: Iterable[Histogram], labels: Sequence[str]) -> Metric:
    family = HistogramMetricFamily(f"contour_node_{name}", what, labels=labels)
    for line in lines:
        values = (line.label, line.detail)[: len(labels)]
        family.add_metric([shown(text) for text in values], _cumulative(line), sum_value=line.sum_s)
    return family


def _cumulative(line: Histogram) -> list[tuple[str, float]]:
    bounds = [*(f"{bound:g}" for bound in BOUNDS_S), "+Inf"]
    return list(zip(bounds, accumulate(line.buckets), strict=True))


def _gauge(name: str, what: str, samples: Samples, labels: Sequence[str] = ()) -> Metric:
    family = GaugeMetricFamily(f"contour_node_{name}", what, labels=labels)
    for values, value in samples:
        family.add_metric([shown(text) for text in values], value)
    return family


def _counter(name: str, what: str, samples: Samples, labels: Sequence[str]) -> Metric:
    family = CounterMetricFamily(f"contour_node_{name}", what, labels=labels)
    for values, value in samples:
        family.add_metric([shown(text) for text in values], value)
    return family


def _age_s(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())
