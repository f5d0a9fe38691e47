"""Files to deploy with: what ``sockudo-publisher config`` prints, as data, and how its options are filled in.

Pure: text in, text out; the command writes. ``nginx.conf``, ``sockudo.toml``, ``make-secrets`` and ``compose.yml`` are
copies, made by scripts/deploy_files.py. Names in ``@...@`` are filled in, and every one has a default.
"""

from __future__ import annotations

from .rendering import (
    ALERTS,
    DASHBOARD,
    compose_files,
    kubernetes_files,
    nginx_file,
    read_file,
    sockudo_file,
    systemd_files,
)

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
