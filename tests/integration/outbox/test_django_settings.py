"""The `SOCKUDO` setting of a Django project: over the environment, below `configure()`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import redis

from tests.integration.journal.raw import read_lane
from tests.support.warm import run_python

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]

#: A project in one process; `show()` prints what the settings are, or what is wrong with them.
PROJECT = """
import json, os, sys
import django
from django.conf import settings
from django.test import override_settings
from sockudo_publisher import ConfigurationError, configure
from sockudo_publisher.config.settings import get_settings

def start(**given):
    settings.configure(INSTALLED_APPS=["sockudo_publisher.outbox.django"], **given)
    django.setup()

def show(*names):
    try:
        print(json.dumps([getattr(get_settings(), name) for name in names]))
    except ConfigurationError as error:
        print(json.dumps(str(error)))
"""

URL = "http://key:s3cr3t@127.0.0.1:9/apps/app"


def run(script: str, **environ: str) -> list[object]:
    """What the script shows."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SOCKUDO_", "DJANGO_"))}
    done = run_python(["-c", PROJECT + script], cwd=ROOT, env={**clean, **environ}, timeout=60)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_order_of_the_four_sources() -> None:
    """`configure()`, Django, the environment, the default: for each setting by itself."""
    script = """
project = {"LANES": 16, "TIMEOUT": "2.5", "REDIS_WAIT": (1, 50), "APPS": {"shop": "u"}, "MAX_RATE": None, "KEY_TTL": ""}
start(SOCKUDO=project)
names = ("lanes", "timeout", "redis_wait", "apps", "max_rate", "key_ttl", "dead_max")
show(*names)
configure(lanes=3)
show(*names)
"""
    shown = run(script, SOCKUDO_LANES="32", SOCKUDO_MAX_RATE="7", SOCKUDO_KEY_TTL="60", SOCKUDO_TIMEOUT="no number")
    django = [16, 2.5, [1, 50], {"shop": "u"}, 7.0, 60.0, 100_000]
    assert shown == [django, [3, *django[1:]]]


def test_override_settings_counts_inside_alone() -> None:
    """Apps and connections follow, as with `configure()`."""
    script = """
start(SOCKUDO={"LANES": 16})
show("lanes")
with override_settings(SOCKUDO={"LANES": 4}):
    show("lanes")
show("lanes")
with override_settings(SOCKUDO=None, OTHER=1):
    show("lanes")
"""
    assert run(script) == [[16], [4], [16], [8]]


def test_used_before_django_is_set_up() -> None:
    """A module that publishes when it is imported: from the set-up on the project's setting counts."""
    assert run('show("lanes")\nstart(SOCKUDO={"LANES": 16})\nshow("lanes")') == [[8], [16]]


def test_project_without_the_setting_reads_the_environment() -> None:
    """As without Django."""
    assert run('start()\nshow("lanes")', SOCKUDO_LANES="5") == [[5]]


#: Wrong settings, as source text, and their errors.
WRONG = {
    '{"LANE": 3}': "SOCKUDO: no setting is named 'LANE', did you mean 'LANES'?",
    '{"lanes": 3}': "SOCKUDO: no setting is named 'lanes'",
    '{"LANES": 300}': "SOCKUDO['LANES']: must be between 1 and 256",
    '{"LANES": "x"}': "SOCKUDO['LANES']: not a whole number, must be between 1 and 256",
    '{"ON_UNCERTAIN": "drop"}': "SOCKUDO['ON_UNCERTAIN']: must be one of resend, park",
    '{"URL": 5}': "SOCKUDO['URL']: expected text, got int",
    '{"URL": "u", "URL_FILE": "f"}': "SOCKUDO['URL'] and SOCKUDO['URL_FILE']: both are set, remove one of them",
    '["s3cr3t"]': "SOCKUDO: expected a dict, got list",
}


def test_wrong_setting_is_named_as_django_has_it() -> None:
    """And no value is shown."""
    script = "start()\n" + "".join(f'with override_settings(SOCKUDO={value}):\n    show("lanes")\n' for value in WRONG)
    assert run(script) == list(WRONG.values())


def test_events_go_where_the_project_says(redis_url: str, tmp_path: Path) -> None:
    """The secret from a file, as in a container."""
    (tmp_path / "url").write_text(URL + "\n")
    script = f"""
from pathlib import Path
start(SOCKUDO={{"URL_FILE": Path({str(tmp_path / "url")!r}), "REDIS_URL": {redis_url!r}, "LANES": 1}})
from sockudo_publisher import publish
publish.delay("orders", "e", 1)
show("lanes")
"""
    assert run(script, SOCKUDO_REDIS_URL="redis://127.0.0.1:1/0") == [[1]]
    with redis.Redis.from_url(redis_url) as client:
        assert [item.channel for item in read_lane(client, "default", 0).queue.items] == ["orders"]
