"""The secrets of one run of the stack, as worker/make-secrets makes them for docker-compose.yml."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from sockudo_publisher.dev.embedded.private import write_private

__all__ = ["SECRETS", "application_environment", "make_secrets"]

#: Where compose mounts the files of `secrets`.
SECRETS = "/run/secrets"

_SCRIPT = Path(__file__).resolve().parent.parent / "worker" / "make-secrets"


def make_secrets(directory: Path, app: str, addressed: Callable[[str], str]) -> None:
    """Make them in a new directory; `addressed` replaces the services' names by addresses of this machine."""
    environ = {**os.environ, "SOCKUDO_APP_ID": app}
    subprocess.run(["sh", str(_SCRIPT), str(directory)], check=True, stdout=subprocess.DEVNULL, env=environ)
    for file in directory.iterdir():
        text = addressed(file.read_text())
        # Private, though containers need more: here all run as one user.
        file.unlink()
        write_private(file, text)


def application_environment(worker: Mapping[str, str]) -> dict[str, str]:
    """The worker's settings for programs of this machine: each secret itself instead of its file, and no port."""
    return {
        name.removesuffix("_FILE"): Path(value).read_text().strip() if name.endswith("_FILE") else value
        for name, value in worker.items()
        if not name.startswith("SOCKUDO_METRICS_")
    }
