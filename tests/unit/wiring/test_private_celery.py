"""What Celery reads from a process for its apps does not reach ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sockudo_publisher.wiring.celery_isolation import ignored_variables, names_package

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]

#: Everything that Celery 5 takes from the environment for an app, each as something that would break or redirect ours.
FOREIGN = {
    "CELERY_BROKER_URL": "redis://foreign:1/0",
    "CELERY_BROKER_READ_URL": "redis://foreign:2/0",
    "CELERY_BROKER_WRITE_URL": "redis://foreign:3/0",
    "CELERY_RESULT_BACKEND": "django-db",
    "CELERY_CONFIG_MODULE": "celeryconfig",
    "CELERY_LOADER": "nowhere.Loader",
    "DJANGO_SETTINGS_MODULE": "nowhere",
}

LOOK = """
from sockudo_publisher import publish
from sockudo_publisher.wiring.private_celery import celery_app
import celery
# Before Celery 5.6 no app's configuration can be copied.
copy = celery_app.conf.copy() if celery.VERSION[:2] >= (5, 6) else celery_app.conf
for conf in (celery_app.conf, copy):
    print(conf.broker_url, conf.broker_read_url, conf.broker_write_url, conf.result_backend)
app = celery_app
print(app.connection_for_write().hostname, app.connection_for_read().hostname, app.connection().hostname)
print(app.conf.task_always_eager, app.conf.timezone, type(app.backend).__name__)
print(celery.current_app.main, celery.current_app is celery_app)
"""


def test_environment_and_celeryconfig_do_not_reach_our_app(tmp_path: Path) -> None:
    """All of Celery's variables, and a `celeryconfig` module in the working directory."""
    (tmp_path / "celeryconfig.py").write_text(
        "task_always_eager = True\ntimezone = 'Asia/Tokyo'\nbroker_url = 'x://y'\n"
    )
    ours = {"SOCKUDO_URL": "http://k:s@127.0.0.1:1/apps/a", "SOCKUDO_REDIS_URL": "redis://ours:1/0"}
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        env={"PATH": "", "PYTHONPATH": str(ROOT), **FOREIGN, **ours},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    url = ours["SOCKUDO_REDIS_URL"]
    seen = [f"{url} {url} {url} {url}"] * 2 + ["ours ours ours", "False None RedisResults"]
    assert done.stdout.splitlines() == [*seen, "default False"]


def test_variables_of_other_apps_are_found_by_name() -> None:
    """Those that change an app or the command's options; not Celery's own debugging."""
    environ = {
        **FOREIGN,
        "CELERY_WORKER_QUEUES": "other",
        "CELERYD_CONCURRENCY": "1",
        "BROKER_URL": "redis://h",
        "CELERY_NODENAME": "n",
        "CELERY_LOG_LEVEL": "10",
        "PATH": "",
        "SOCKUDO_URL": "x",
    }
    assert ignored_variables(environ) == [
        "BROKER_URL",
        "CELERYD_CONCURRENCY",
        "CELERY_BROKER_READ_URL",
        "CELERY_BROKER_URL",
        "CELERY_BROKER_WRITE_URL",
        "CELERY_CONFIG_MODULE",
        "CELERY_LOADER",
        "CELERY_RESULT_BACKEND",
        "CELERY_WORKER_QUEUES",
    ]


@pytest.mark.parametrize(
    ("chosen", "ours"),
    [
        ("sockudo_publisher", True),
        ("sockudo_publisher:app", True),
        ("sockudo_publisher.wiring.private_celery", True),
        ("sockudo_publisher.wiring.private_celery:celery_app", True),
        ("sockudo_publisher_of_theirs", False),
        ("shop.sockudo_publisher", False),
        ("", False),
    ],
)
def test_chosen_app_is_ours_by_its_package(chosen: str, ours: bool) -> None:
    assert names_package(chosen) is ours
