"""Dashboard, alert rules and scrape configuration against the metrics that the node really shows."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from service.cli.main import _parser
from service.config import RetentionSettings, Settings, load_settings
from service.monitor.echoes import EchoResult, PeerEchoes
from service.monitor.metrics import metrics_page
from service.monitor.monitor import Monitor, MonitorParts
from service.store import Database, DiskGauge, InstanceRecorder, JobState, upgrade
from tests.support.arrivals import Node
from tests.support.clock import ManualClock
from tests.support.watch_queries import DASHBOARD, RULES, dashboard_queries, metrics_in, rule_queries

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = {
    "sum",
    "max",
    "by",
    "on",
    "or",
    "group_left",
    "rate",
    "increase",
    "histogram_quantile",
    "time",
    "up",
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(ROOT / "deploy/settings.docker.toml", {})


class Answering(PeerEchoes):
    """Peers as they are once one was asked; asking over a network is tested with the client."""

    def answers(self) -> tuple[EchoResult, ...]:
        return (EchoResult(name="tps", ok=True, reason="", duration_s=0.1),)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The labels of every sample of a node with a delivered job and a recipient, by the sample's name."""
    folder = tmp_path_factory.mktemp("store")
    url, clock = f"sqlite:///{folder / 'node.sqlite'}", ManualClock()
    upgrade(url)
    database = Database(url, clock=clock, monotonic=clock.monotonic)
    tree = {
        "node": {"storage_dir": folder},
        "receive": {"port": 0},
        "monitor": {"notify": [{"name": "it", "webhook": {"url": "https://h/"}}]},
        "peers": {"tps": {"ae_title": "TPS", "host": "127.0.0.1", "port": 104}},
        "rules": [{"name": "hn", "model": "hn_oar", "destinations": ["tps"], "alarm_s": 600}],
    }
    settings = Settings.model_validate(tree)
    gauge = DiskGauge(folder, RetentionSettings(refuse_below_free_bytes=0, warn_below_free_percent=0))
    parts = MonitorParts(
        settings=settings,
        database=database,
        prepare=lambda: None,
        is_model_server_live=lambda: True,
        echoes=Answering(settings),
        gauge=gauge,
    )
    with InstanceRecorder(database) as recorder:
        node = Node(database=database, clock=clock, recorder=recorder)
        node.job_in(JobState.DONE, series="1.2.1")
        node.job_in(JobState.QUEUED, series="1.2.2")
        page = metrics_page(settings, Monitor(parts).poll_once()).decode()
    database.close()
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    found: dict[str, set[str]] = {}
    for sample in samples:
        found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize("query", [*dashboard_queries(), *rule_queries().values()])
def test_every_metric_and_label_that_is_asked_for_is_shown(query: str, shown: dict[str, set[str]]) -> None:
    asked = metrics_in(query)
    assert asked
    assert asked <= shown.keys()
    labels = {"job", "instance"}.union(*(shown[name] for name in asked))  # those two are Prometheus' own
    grouped = re.findall(r"\b(?:by|on) \(?([\w, ]+)\)?|\bon\(([\w, ]+)\)", query)
    wanted = {
        one.strip() for groups in grouped for group in groups for one in group.split(",") if one.strip()
    }
    wanted |= set(re.findall(r'(\w+)=~?"', re.sub(r'up\{job="[^"]*"\}', "", query)))
    assert wanted <= labels
    words = set(re.findall(r"\b[a-z_]+\b(?=\()", re.sub(r'"[^"]*"', "", query)))
    assert words <= FUNCTIONS


@pytest.mark.parametrize("query", [*dashboard_queries(), *rule_queries().values()])
def test_the_brackets_of_every_query_close(query: str) -> None:
    bare = re.sub(r'"[^"]*"', "", query)
    for left, right in ("()", "[]", "{}"):
        assert bare.count(left) == bare.count(right)


def test_every_metric_of_the_node_stands_in_the_documentation_and_the_other_way_round(
    shown: dict[str, set[str]],
) -> None:
    page = (ROOT / "docs/monitoring.md").read_text()
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in shown}
    documented = set(re.findall(r"^\| `(contour_node_\w+)`", page, re.MULTILINE))
    assert documented == families


def test_every_alert_says_what_is_wrong_and_how_bad_it_is() -> None:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    names = [rule["alert"] for rule in group["rules"]]
    assert len(set(names)) == len(names)
    for rule in group["rules"]:
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
            assert label in {"role", "rule", "destination", "peer", "recipient"}


def test_every_panel_has_its_own_place_and_data_source() -> None:
    board = json.loads(DASHBOARD.read_text())
    source = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())
    places: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        grid = panel["gridPos"]
        mine = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not mine & places
        assert max(x for x, _ in mine) < 24
        places |= mine
        assert panel["datasource"]["uid"] == source["datasources"][0]["uid"]


def test_prometheus_and_the_collector_scrape_the_service_and_port_of_the_node(
    compose: dict[str, Any], settings: Settings
) -> None:
    target = f"monitor:{settings.monitor.port}"
    prometheus = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    assert prometheus["scrape_configs"][0]["static_configs"] == [{"targets": [target]}]
    collector = yaml.safe_load((ROOT / "deploy/otel-collector/config.yaml").read_text())
    (scraped,) = collector["receivers"]["prometheus"]["config"]["scrape_configs"]
    assert scraped["static_configs"] == [{"targets": [target]}]
    assert "monitor" in compose["services"]
    assert settings.monitor.host == "0.0.0.0"
    assert settings.monitor.receiver_host in compose["services"]
    (rules,) = prometheus["rule_files"]
    assert (
        f"./deploy/prometheus/contour-node.rules.yml:{rules}:ro"
        in compose["services"]["prometheus"]["volumes"]
    )
    assert (
        compose["services"]["prometheus"]["profiles"]
        == compose["services"]["grafana"]["profiles"]
        == ["monitoring"]
    )


def test_every_role_has_a_health_check_that_the_command_line_knows(
    compose: dict[str, Any], settings: Settings
) -> None:
    for role in ("receive", "assemble", "work", "send", "retention"):
        kind, program, *words = compose["services"][role]["healthcheck"]["test"]
        assert (kind, program) == ("CMD", "contour-node")
        parsed = _parser().parse_args(words)
        assert (parsed.name, parsed.role) == ("health", role)
    monitor = compose["services"]["monitor"]
    assert f"http://127.0.0.1:{settings.monitor.port}/health/live" in monitor["healthcheck"]["test"][-1]
    assert "ports" not in monitor  # metrics stay among the containers
    assert settings.node.log_format == "json"
