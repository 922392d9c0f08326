import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from service.monitor.metrics import metrics_page
from service.store import EventKind, JobState
from tests.service.monitor.conftest import Watched

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def families(watched: Watched) -> list[Metric]:
    monitor = watched.monitor()
    page = metrics_page(watched.settings(), monitor.poll_once()).decode()
    return list(text_string_to_metric_families(page))


def samples(watched: Watched) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families(watched)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found[f"contour_node_{name}", tuple(sorted(labels.items()))]


def test_the_queue_is_shown_with_its_ages_and_every_state_of_every_rule(watched: Watched) -> None:
    watched.node.job_in(JobState.DELIVERING, series="1.2.1")
    watched.clock.tick(50)
    watched.node.job_in(JobState.QUEUED, series="1.2.2")
    watched.clock.tick(20)
    found = samples(watched)
    assert value(found, "jobs", state="queued", rule="hn") == 1
    assert value(found, "jobs", state="failed", rule="hn") == 0
    assert value(found, "oldest_job_age_seconds", state="queued", rule="hn") == 20
    assert value(found, "undelivered_age_seconds", rule="hn") == 70
    assert value(found, "last_slice_to_delivered_alarm_seconds", rule="hn") == 600
    assert value(found, "deliveries", destination="tps", state="pending") == 1
    assert value(found, "oldest_delivery_age_seconds", destination="tps") == 70
    assert value(found, "job_events_total", rule="hn", kind="finished") == 1
    assert value(found, "job_events_total", rule="hn", kind="refused") == 0
    assert value(found, "images_received_total", kind="ct") == 4
    assert value(found, "received_bytes_total", kind="ct") == 2000
    assert value(found, "ready") == 0  # no role gave a sign of life


def test_histograms_are_cumulative_and_whole(watched: Watched) -> None:
    watched.node.receive()
    for number, seconds in enumerate((3, 40, 100_000)):
        series = f"1.2.{number}"
        watched.node.job_in(JobState.RECEIVING, series=series)
        watched.clock.tick(seconds)
        watched.node.close_series()
    found = samples(watched)
    labels = {"rule": "hn", "stage": "quiet"}
    assert value(found, "stage_seconds_count", **labels) == 3
    assert value(found, "stage_seconds_sum", **labels) == 100_043
    assert [value(found, "stage_seconds_bucket", le=le, **labels) for le in ("2", "5", "60", "+Inf")] == [
        0,
        1,
        2,
        3,
    ]


def test_no_label_is_what_a_sender_says(watched: Watched) -> None:
    """A label of foreign text would let anybody fill the memory of who scrapes, and could carry a name."""
    for number, state in enumerate((JobState.DONE, JobState.DELIVERING, JobState.FAILED, JobState.QUEUED)):
        watched.node.job_in(state, series=f"1.2.3.{number}.7")
    text = metrics_page(watched.settings(), watched.monitor().poll_once()).decode()
    for foreign in ("SCANNER", "CONTOURNODE", "10.0.0.7", "1.2.3"):
        assert foreign not in text
    known = {"rule", "state", "kind", "stage", "destination", "outcome", "role", "peer", "le", "recipient"}
    assert {name for _, labels in samples(watched) for name, _ in labels} <= known


def test_every_metric_says_what_it_is_and_every_kind_of_event_is_counted(watched: Watched) -> None:
    found = families(watched)
    assert all(family.documentation.endswith(".") for family in found)
    (events,) = [family for family in found if family.name == "contour_node_job_events"]
    assert {sample.labels["kind"] for sample in events.samples} == {kind.value for kind in EventKind}


@pytest.mark.parametrize("state", [JobState.DONE, JobState.REFUSED, JobState.FAILED])
def test_counters_only_grow(watched: Watched, state: JobState) -> None:
    before = samples(watched)
    watched.node.job_in(state)
    after = samples(watched)
    assert all(after[key] >= count for key, count in before.items() if key[0].endswith("_total"))
    assert value(after, "job_events_total", rule="", kind="opened") == 1


def test_a_rule_begins_with_zeros_so_that_its_first_delivery_is_an_increase(watched: Watched) -> None:
    before = samples(watched)
    watched.node.job_in(JobState.DONE)
    after = samples(watched)
    latency, stage = "last_slice_to_delivered_seconds", "stage_seconds"
    assert value(before, f"{latency}_count", rule="hn") == 0
    assert value(before, f"{latency}_bucket", rule="hn", le="+Inf") == 0
    assert value(after, f"{latency}_count", rule="hn") == 1
    assert value(before, f"{stage}_count", rule="hn", stage="sending") == 0
    assert value(after, f"{stage}_count", rule="hn", stage="sending") == 1
    assert value(after, f"{stage}_count", rule="hn", stage="write") == 0
