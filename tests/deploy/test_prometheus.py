"""The configuration, alert rules and dashboard of deploy/ in a real Prometheus, over a running role `monitor`."""

import json
import math
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from inference.ports import free_ports
from service.store import Database, InstanceRecorder, JobState, upgrade, utc_now
from tests.support.arrivals import Node
from tests.support.clock import ManualClock
from tests.support.node import REPOSITORY, until
from tests.support.watch_queries import DEPLOY, RULES, dashboard_queries, metrics_in, rule_queries

UNIT_TESTS = Path(__file__).with_name("contour-node.rules.test.yml")
LACKING = [tool for tool in ("prometheus", "promtool") if shutil.which(tool) is None]
pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(
        bool(LACKING), reason=f"not installed: {', '.join(LACKING)}; apt-get install prometheus"
    ),
]


def promtool(*words: object) -> str:
    done = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def configuration(folder: Path, *, target: str | None = None) -> Path:
    """The configuration of deploy/ with its rules where they lie here; with a target, of that one and in a hurry."""
    tree = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    tree["rule_files"] = [str(RULES)]
    if target is not None:
        tree["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        tree["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(tree))
    return file


def test_promtool_takes_the_configuration_and_the_rules(tmp_path: Path) -> None:
    assert "SUCCESS" in promtool("check", "config", configuration(tmp_path))
    assert f"{len(rule_queries())} rules found" in promtool("check", "rules", "--lint-fatal", RULES)


def test_every_alert_is_raised_when_it_should_be_and_not_before() -> None:
    assert "SUCCESS" in promtool("test", "rules", UNIT_TESTS)
    tested = UNIT_TESTS.read_text()
    assert [name for name in rule_queries() if name not in tested] == []


@dataclass(frozen=True, kw_only=True)
class Prometheus:
    """Prometheus' HTTP API."""

    port: int

    def get(self, what: str, **words: str) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/v1/{what}?{urllib.parse.urlencode(words)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def values(self, query: str) -> list[float]:
        return [float(series["value"][1]) for series in self.get("query", query=query)["result"]]

    def scrapes(self) -> bool:
        try:
            return self.values('up{job="contour-node"}') == [1.0]
        except (urllib.error.URLError, ConnectionError):
            return False


@contextmanager
def running(*command: object, log: Path) -> Iterator[None]:
    with log.open("wb") as file:
        process = subprocess.Popen(list(map(str, command)), cwd=REPOSITORY, stdout=file, stderr=file)
        try:
            yield
            assert process.poll() is None, log.read_text()
        finally:
            process.terminate()
            process.wait(30)


def write_settings(folder: Path, watch_port: int, other_ports: list[int]) -> Path:
    """A node of which nothing runs but the role monitor."""
    receiver, model_server, tps, mail = other_ports
    file = folder / "settings.toml"
    file.write_text(f"""
[node]
storage_dir = "{folder / "store"}"
[receive]
host = "127.0.0.1"
port = {receiver}
[triton]
url = "127.0.0.1:{model_server}"
[retention]
warn_below_free_percent = 0
refuse_below_free_bytes = 0
[advanced]
poll_s = 0.02
[monitor]
port = {watch_port}
echo_s = 1
[[monitor.notify]]
name = "it"
events = ["failed"]
webhook = {{url = "http://127.0.0.1:{mail}/"}}
[peers.tps]
ae_title = "TPS"
host = "127.0.0.1"
port = {tps}
[[rules]]
name = "hn"
model = "hn_oar"
destinations = ["tps"]
alarm_s = 600
""")
    return file


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that saw a node before its first job, and then one delivered, one queued and one failed job."""
    folder = tmp_path_factory.mktemp("watched")
    watch_port, prometheus_port, *others = free_ports(6)
    settings_file = write_settings(folder, watch_port, others)
    (folder / "store").mkdir()
    url = f"sqlite:///{folder / 'store/contour-node.sqlite'}"
    upgrade(url)
    configured = configuration(folder, target=f"127.0.0.1:{watch_port}")
    server = Prometheus(port=prometheus_port)
    with (
        running(
            sys.executable, "-m", "service", "monitor", "--settings", settings_file, log=folder / "node.log"
        ),
        running(
            "prometheus",
            f"--config.file={configured}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{prometheus_port}",
            log=folder / "prometheus.log",
        ),
    ):
        until(server.scrapes, seconds=60, why="Prometheus scrapes the node")
        received = "sum(contour_node_images_received_total)"
        until(lambda: server.values(received) == [0.0], seconds=30, why="the empty node is seen")
        work_off_three_jobs(url)
        until(lambda: server.values(received) == [6.0], seconds=30, why="the images are seen")
        waiting = 'ALERTS{alertname="ContourNodeNotificationsWait"}'  # what comes last: a message that was noted after the job
        until(lambda: server.values(waiting), seconds=30, why="the rules have been evaluated since")
        yield server


def work_off_three_jobs(url: str) -> None:
    clock = ManualClock(now=utc_now())
    database = Database(url, clock=clock, monotonic=clock.monotonic)
    with InstanceRecorder(database) as recorder:
        node = Node(database=database, clock=clock, recorder=recorder)
        node.job_in(JobState.DONE, series="1.2.1")
        node.job_in(JobState.FAILED, series="1.2.2")
        node.job_in(JobState.QUEUED, series="1.2.3")
    database.close()


@pytest.mark.parametrize("query", dashboard_queries())
def test_every_query_of_the_dashboard_has_an_answer(prometheus: Prometheus, query: str) -> None:
    values = prometheus.values(query.replace("$__rate_interval", "4s"))
    assert values
    if "histogram_quantile" in query:
        assert not all(math.isnan(value) for value in values)


@pytest.mark.parametrize("query", rule_queries().values(), ids=rule_queries().keys())
def test_every_metric_of_an_alert_is_scraped(prometheus: Prometheus, query: str) -> None:
    assert metrics_in(query)
    for metric in metrics_in(query):
        assert prometheus.values(f"count({metric})")[0] >= 1


def test_prometheus_evaluates_the_rules_and_sees_what_is_wrong_with_this_node(prometheus: Prometheus) -> None:
    (group,) = prometheus.get("rules")["groups"]
    assert {rule["health"] for rule in group["rules"]} == {"ok"}
    raised = {rule["name"] for rule in group["rules"] if rule["state"] != "inactive"}
    assert raised == {
        "ContourNodeRoleDown",
        "ContourNodeReceiverDown",
        "ContourNodeModelServerDown",
        "ContourNodePeerDown",
        "ContourNodeJobFailed",
        "ContourNodeNotificationsWait",
    }


def test_a_first_delivery_counts_in_prometheus(prometheus: Prometheus) -> None:
    query = "increase(contour_node_last_slice_to_delivered_seconds_count[1h])"
    assert prometheus.values(query)[0] > 0
