"""Projects that have the outbox's app: they change one line, keep both, or stay; table and migrations are theirs."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.support.warm import run_python

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[4]
NEW, OLD = "sockudo_publisher.contrib.django", "sockudo_publisher.outbox.django"
NEEDED = ["django.contrib.contenttypes", "django.contrib.auth"]

PROGRAM = """
import sys
import django
from django.conf import settings
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    INSTALLED_APPS=sys.argv[2].split(","),
    SOCKUDO={"URL": "http://k:s@127.0.0.1:9/apps/a", "LANES": 3},
    USE_TZ=True,
)
django.setup()
from django.core.management import call_command
from sockudo_publisher.config.settings import get_settings
from sockudo_publisher.outbox.django import add
call_command("migrate", verbosity=0)
call_command("makemigrations", check=True, dry_run=True, verbosity=0)
call_command("check")
assert get_settings().lanes == 3
add("orders", "n", 1)
"""


def run(database: Path, *apps: str) -> str:
    """Migrate, look for changes and add an event in a project with these apps. What the checks complain about."""
    done = run_python(
        ["-W", "error", "-c", PROGRAM, str(database), ",".join([*NEEDED, *apps])],
        env={name: value for name, value in os.environ.items() if not name.startswith(("SOCKUDO_", "DJANGO_"))},
        cwd=ROOT,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def ask(database: Path, query: str) -> list[tuple]:
    with sqlite3.connect(database) as connection:
        return list(connection.execute(query))


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a project with the old app, with one row; tests work on copies."""
    database = tmp_path_factory.mktemp("before") / "db.sqlite3"
    run(database, OLD)
    return database


@pytest.mark.parametrize(
    "later",
    [(NEW,), (OLD, NEW), pytest.param((NEW, OLD), marks=pytest.mark.long), (f"{NEW}.apps.SockudoConfig",)],
    ids=",".join,
)
def test_existing_project_keeps_table_and_migrations(tmp_path: Path, before: Path, later: tuple[str, ...]) -> None:
    """One row of before, one of after, in one table; the first migration is not applied again."""
    database = Path(shutil.copy(before, tmp_path))
    complaints = run(database, *later)
    assert ("sockudo.W001" in complaints) is (OLD in later)
    assert ask(database, "SELECT count(*) FROM sockudo_outbox") == [(2,)]
    applied = ask(database, "SELECT app, name FROM django_migrations WHERE app LIKE 'sockudo%' ORDER BY id")
    assert applied == [("sockudo_outbox", "0001_initial"), ("sockudo_outbox", "0002_models_without_tables")]
    assert ask(database, "SELECT count(*) FROM auth_permission WHERE codename = 'replay_deadletter'") == [(1,)]


def test_new_project(tmp_path: Path) -> None:
    """Only the new app; and back to the old one, which knows nothing of the second migration."""
    database = tmp_path / "db.sqlite3"
    assert "sockudo" not in run(database, NEW)
    run(database, OLD)
    assert ask(database, "SELECT count(*) FROM sockudo_outbox") == [(2,)]
    tables = {name for (name,) in ask(database, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert not {name for name in tables if "deadletter" in name or "scheduled" in name}


def test_admin_is_not_needed(tmp_path: Path) -> None:
    """Nor are permissions: an API without users has the outbox and the webhooks."""
    source = PROGRAM.replace('sys.argv[2].split(",")', f"[{NEW!r}]")
    done = run_python(
        ["-c", source, str(tmp_path / "db"), ""],
        env=dict(os.environ),
        cwd=ROOT,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
