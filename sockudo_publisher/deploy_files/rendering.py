"""The files with their options filled in. Values are checked by the caller: they are put into the text as they are."""

from __future__ import annotations

import re
from importlib.resources import files
from textwrap import indent

__all__ = [
    "ALERTS",
    "DASHBOARD",
    "compose_files",
    "kubernetes_files",
    "nginx_file",
    "read_file",
    "sockudo_file",
    "systemd_files",
]

ALERTS = "alerts.yml"
DASHBOARD = "grafana.json"

#: The rate for which worker/sockudo.toml is written, in events a second, and the seconds that ids are remembered.
_RATE, _WINDOW_S = 50_000, 120

#: As it stands in worker/nginx.conf.
_RESOLVER, _UPSTREAM, _LISTEN = "127.0.0.11", "sockudo:6001", "8080"

#: Kubernetes' name server: nginx looks its own name up at its start, and the upstream's with each request.
_CLUSTER_RESOLVER = "kube-dns.kube-system.svc.cluster.local"


def read_file(name: str) -> str:
    """The text of one of the package's files, as it is."""
    return (files(__package__) / name).read_text("utf-8")


def sockudo_file(events_per_second: int = _RATE) -> str:
    """sockudo.toml: the dedup memory has room for that number of events a second, for the whole window."""
    capacity = events_per_second * _WINDOW_S
    text = _replaced(read_file("sockudo.toml"), f"max_capacity = {_RATE * _WINDOW_S}", f"max_capacity = {capacity}")
    sum_of = "{:,}/s x {} s = {:,}".format
    return _replaced(text, sum_of(_RATE, _WINDOW_S, _RATE * _WINDOW_S), sum_of(events_per_second, _WINDOW_S, capacity))


def nginx_file(upstream: str = _UPSTREAM, listen: str = _LISTEN, resolver: str = _RESOLVER) -> str:
    """nginx.conf; ``upstream`` is Sockudo's ``host:port``, ``listen`` a port or ``address:port``.

    ``resolver`` is the name server that is asked for the host; it is not asked for an address.
    """
    text = _replaced(read_file("nginx.conf"), f"http://{_UPSTREAM}", f"http://{upstream}")
    text = _replaced(text, f"listen {_LISTEN};", f"listen {listen};")
    return _replaced(text, f"resolver {_RESOLVER} ", f"resolver {resolver} ")


def compose_files(version: str) -> dict[str, str]:
    """compose.yml, and the files that it mounts and builds from, for the directory of a project."""
    return {
        "compose.yml": read_file("compose.yml"),
        "sockudo.toml": read_file("sockudo.toml"),
        "nginx.conf": read_file("nginx.conf"),
        "make-secrets": read_file("make-secrets"),
        "Dockerfile": _filled("Dockerfile", VERSION=version),
    }


def systemd_files(
    *,
    user: str = "sockudo-publisher",
    prefix: str = "/opt/sockudo-publisher",
    secrets: str = "/etc/sockudo-publisher",
    namespace: str = "",
    metrics_port: int = 9108,
    project: str = "/srv/app",
    relay: str = "/srv/app/venv/bin/python manage.py sockudo_relay",
    dashboard_port: int = 8700,
) -> dict[str, str]:
    """The units of worker, relay and dashboard. The relay's metrics are on the port after the worker's."""
    values = {
        "USER": user,
        "PREFIX": prefix.rstrip("/"),
        "SECRETS": secrets.rstrip("/"),
        "NAMESPACE": namespace,
        "METRICS_PORT": str(metrics_port),
        "RELAY_METRICS_PORT": str(metrics_port + 1),
        "PROJECT": project,
        "RELAY": relay,
        "DASHBOARD_PORT": str(dashboard_port),
    }
    return {
        f"sockudo-publisher-{part}.service": _filled(f"{part}.service", **values)
        for part in ("worker", "relay", "dashboard")
    }


def kubernetes_files(
    *,
    image: str,
    namespace: str = "",
    replicas: int = 2,
    sockudo: str = "sockudo.default.svc.cluster.local:6001",
    redis_port: int = 6379,
    monitoring: str = "monitoring",
    resolver: str = _CLUSTER_RESOLVER,
) -> dict[str, str]:
    """kubernetes.yml: workers and nginx. ``monitoring`` is the namespace of Kubernetes in which Prometheus runs."""
    nginx = nginx_file(sockudo, _LISTEN, resolver)
    return {
        "kubernetes.yml": _filled(
            "kubernetes.yml",
            IMAGE=image,
            NAMESPACE=namespace,
            REPLICAS=str(replicas),
            SOCKUDO_PORT=sockudo.rpartition(":")[2],
            REDIS_PORT=str(redis_port),
            MONITORING=monitoring,
            NGINX_CONF=indent(nginx.rstrip("\n"), "    "),
        )
    }


def _filled(name: str, **values: str) -> str:
    """The file with the value of each ``@NAME@``. Raises ``KeyError`` for one without a value."""
    return re.sub(r"@([A-Z_]+)@", lambda match: values[match[1]], read_file(name))


def _replaced(text: str, old: str, new: str) -> str:
    """The text with ``old`` replaced, which has to be in it: the copies may change."""
    if old not in text:
        raise ValueError(f"the file has no {old!r}")
    return text.replace(old, new)
