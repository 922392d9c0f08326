"""What the dashboard and the alert rules of deploy/ ask Prometheus for."""

import json
import re
from pathlib import Path

import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
DASHBOARD = DEPLOY / "grafana/dashboards/contour-node.json"
RULES = DEPLOY / "prometheus/contour-node.rules.yml"


def dashboard_queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def rule_queries() -> dict[str, str]:
    """The expression of each alert, by its name."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


def metrics_in(query: str) -> set[str]:
    """The node's metrics that a query names."""
    return set(re.findall(r"\bcontour_node_\w+", re.sub(r'"[^"]*"', "", query)))
