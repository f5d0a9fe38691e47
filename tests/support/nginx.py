"""The nginx of docker-compose.yml in front of any port of this machine."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from scripts.stack import Part, Ports, find_nginx, is_listening, nginx_command, services
from sockudo_publisher.dev.embedded.ports import free_port

__all__ = ["is_listening", "nginx_before"]


def nginx_before(upstream: int, directory: Path, ends: ExitStack) -> int:
    """Start it, until `ends`; answers its port. Raises PartMissing where there is none."""
    program = str(find_nginx())
    ports = Ports(redis=0, sockudo=upstream, metrics=0, nginx=free_port())
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    ends.enter_context(
        Part(
            "nginx",
            nginx_command(program, ports, directory),
            {},
            lambda: is_listening(ports.nginx),
            service=services(os.environ)["nginx"],
            directory=directory,
        )
    )
    return ports.nginx
