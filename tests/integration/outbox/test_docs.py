"""The blocks of docs/transactions.md, run as a reader would: copied one after the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.stack import Stack
from tests.support.warm import run_python

pytestmark = pytest.mark.integration

PAGE = Path(__file__).resolve().parents[3] / "docs" / "transactions.md"

PROJECT = """
import os, sys
import django
from django.conf import settings
{apps}
INSTALLED_APPS.append("shop")
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}}}}
settings.configure(DATABASES=DATABASES, INSTALLED_APPS=INSTALLED_APPS)
django.setup()
from django.core.management import call_command
call_command("migrate", run_syncdb=True, verbosity=0)
"""
MODELS = """
from django.db import models

class Order(models.Model):
    item = models.TextField()
    class Meta:
        app_label = "shop"
"""


def test_transactions_page(stack: Stack, tmp_path: Path) -> None:
    """A Django project and a program with SQLAlchemy in one process: everything committed arrives, in order."""
    on_commit, apps, outbox, sqlalchemy, relay = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    assert "sockudo_publisher.outbox.django" in apps
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "__init__.py").touch()
    (shop / "models.py").write_text(MODELS)
    seen = stack.subscribe("orders", "payments")
    stack.worker()
    program = [
        PROJECT.format(apps=apps),
        on_commit,
        outbox,
        'call_command("sockudo_relay", once=True)',
        sqlalchemy,
        relay,
    ]
    done = run_python(
        ["-c", "\n".join(program)],
        env={**stack.python(), "PYTHONPATH": f"{tmp_path}:{PAGE.parents[1]}"},
        cwd=tmp_path,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "1 stored, 0 of them by an earlier attempt; 0 parked",
        re.search(r"# one pass: (.*)", relay)[1],
    ]
    # The reminder is not waited for.
    seen.wait_for_count(3, 30)
    seen.wait_until_quiet(0.5)
    assert seen.data("orders") == ['{"id":1}', '{"id":2}']
    assert seen.data("payments") == ['{"id":1}']
