"""A Django project in one module: its settings, and scripts that run as processes of their own."""

from __future__ import annotations

import os
import signal
import sys
from urllib.parse import urlsplit

import django
from django.conf import settings

APPS = ["sockudo_publisher.outbox.django"]


def database(url: str) -> dict[str, object]:
    """An entry of DATABASES."""
    if url.startswith("sqlite:"):
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": url.removeprefix("sqlite:///")}
    parts = urlsplit(url)
    if parts.scheme.startswith("mysql"):
        import pymysql

        # Django looks at mysqlclient's version; PyMySQL takes its place.
        pymysql.version_info = (2, 2, 7, "final", 0)
        pymysql.install_as_MySQLdb()
    return {
        "ENGINE": "django.db.backends." + ("mysql" if parts.scheme.startswith("mysql") else "postgresql"),
        "NAME": parts.path[1:],
        "USER": parts.username,
        "HOST": parts.hostname,
        "PORT": parts.port,
    }


def configure(urls: dict[str, str]) -> None:
    """What manage.py does."""
    settings.configure(
        DATABASES={alias: database(url) for alias, url in urls.items()},
        INSTALLED_APPS=APPS,
        SECRET_KEY="for tests",
        USE_TZ=True,
        SOCKUDO={"OUTBOX_NOTIFY": True},
    )
    django.setup()


if __name__ == "__main__":
    url, command, *rest = sys.argv[1:]
    configure({"default": url})
    from django.core.management import execute_from_command_line
    from django.db import transaction

    from sockudo_publisher import publish
    from sockudo_publisher.outbox.django import add

    if command == "add":
        add("orders", "n", int(rest[0]))
    elif command == "die-on-commit":
        with transaction.atomic():
            add("outbox", "n", 1)
            transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))
            publish.delay_on_commit("orders", "n", 1)
    else:
        execute_from_command_line(["manage.py", command, *rest])
