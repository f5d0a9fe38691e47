"""Files to deploy with: Prometheus' alert rules and Grafana's dashboard."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["ALERTS", "DASHBOARD", "read_file"]

ALERTS = "alerts.yml"
DASHBOARD = "grafana.json"


def read_file(name: str) -> str:
    """The text of one of the files."""
    return (files(__name__) / name).read_text("utf-8")
