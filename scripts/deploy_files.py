"""Write the files of the package that have an origin elsewhere in the repository: ``python -m scripts.deploy_files``.

`sockudo-publisher config` prints files from the installed package, where neither docker-compose.yml nor worker/ is. So
the package has copies: of worker/'s files as they are, and of docker-compose.yml for a directory with the printed files
alone. A test compares them; after a change of an original run this.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGED = ROOT / "sockudo_publisher" / "deploy_files"

#: By the file's name in worker/.
UNCHANGED = ("sockudo.toml", "nginx.conf", "make-secrets")

_HEAD = """\
# One node of each part, set up for exactly-once delivery: Redis with an append-only file, Sockudo with room for every
# message id of its window, nginx that finishes requests whose client is gone, and a worker that stops cleanly.
#
#   sockudo-publisher config compose --output .   this file, sockudo.toml, nginx.conf, make-secrets, Dockerfile
#   sh make-secrets                               once: random secrets in secrets/, and .env, which names that place
#   docker compose up -d                          Redis, Sockudo, nginx, worker
#   docker compose up -d --scale worker=3         more workers; they share the lanes
#
# Applications on this host use secrets/application.env. Every port is published on 127.0.0.1 alone. Browsers of other
# machines need a proxy with TLS in front of 127.0.0.1:6001 that passes the path /app/ and no other.
#
# Secrets are files under /run/secrets: they are in no command line, no environment that `docker inspect` shows, and no
# image. Compose mounts the files as they are on the host, so they are readable, in a directory that is not.

"""


def derived_compose(text: str) -> str:
    """docker-compose.yml for a directory with the printed files: no demo, no checkout, the package from its index."""
    body = _HEAD + text[text.index("name: sockudo-publisher") :]
    body = re.sub(r"\n  # The departures board.*?(?=\n# Made by worker/make-secrets)", "", body, flags=re.DOTALL)
    for old, new in (
        ("      dockerfile: worker/Dockerfile\n", "      dockerfile: Dockerfile\n"),
        ("worker/", ""),
    ):
        assert old in body, old
        body = body.replace(old, new)
    body = body.replace(" (docs/deployment.md, Prometheus beside compose)", "")
    return body.replace("(docs/deployment.md)", "(`SOCKUDO_NAMESPACE`)")


def packaged_files() -> dict[str, str]:
    """Name and text of each file that the package has to have."""
    files = {name: (ROOT / "worker" / name).read_text("utf-8") for name in UNCHANGED}
    return {**files, "compose.yml": derived_compose((ROOT / "docker-compose.yml").read_text("utf-8"))}


def main() -> None:
    """Write them."""
    for name, text in packaged_files().items():
        (PACKAGED / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
