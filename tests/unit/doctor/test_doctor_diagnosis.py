"""The looks side by side: bounded, whole, and honest about a bug."""

from __future__ import annotations

import threading
import time

import pytest

from sockudo_publisher.config.settings import Settings
from sockudo_publisher.doctor import diagnosis
from sockudo_publisher.doctor.checks.access import ACCESS_CHECKS
from sockudo_publisher.doctor.checks.broker import BROKER_CHECKS
from sockudo_publisher.doctor.checks.dedup_memory import MEMORY_CHECKS
from sockudo_publisher.doctor.checks.delivering import DELIVERY_CHECKS
from sockudo_publisher.doctor.checks.deployment import DEPLOYMENT_CHECKS
from sockudo_publisher.doctor.checks.doorbells import DOORBELL_CHECKS
from sockudo_publisher.doctor.checks.limits import LIMIT_CHECKS
from sockudo_publisher.doctor.checks.redis import REDIS_CHECKS
from sockudo_publisher.doctor.checks.variables import SETTINGS_CHECKS
from sockudo_publisher.doctor.diagnosis import diagnose
from sockudo_publisher.doctor.facts.values import BrokerFacts, RedisFacts
from sockudo_publisher.errors import ConfigurationError

pytestmark = pytest.mark.unit

URL = "http://key:of-mine@127.0.0.1:1/apps/app"
SETTINGS = Settings(url=URL)


@pytest.fixture
def looks(monkeypatch):
    """Looks that find no part, at once; a test puts its own in their place."""
    monkeypatch.setattr(diagnosis, "collect_redis_facts", lambda *_, **__: RedisFacts(failure="away"))
    monkeypatch.setattr(diagnosis, "collect_broker_facts", lambda *_: BrokerFacts("redis", failure="away"))
    monkeypatch.setattr(diagnosis, "collect_sockudo_facts", lambda *_, **__: None)
    return monkeypatch


def test_every_check_has_its_line_in_the_same_order(looks):
    """Also when nothing is known: programs may rely on the names."""
    found = diagnose(SETTINGS)
    assert tuple(finding.name for finding in found.findings) == (
        *SETTINGS_CHECKS,
        *REDIS_CHECKS,
        *BROKER_CHECKS,
        *DEPLOYMENT_CHECKS,
        *DOORBELL_CHECKS,
        *ACCESS_CHECKS,
        *LIMIT_CHECKS,
        *MEMORY_CHECKS,
        *DELIVERY_CHECKS,
    )
    assert (found.is_well, found.is_unreachable) == (False, True)
    assert "of-mine" not in str(found)


@pytest.mark.parametrize("name", ["collect_redis_facts", "collect_broker_facts", "collect_sockudo_facts"])
def test_a_look_that_never_ends_is_left_behind(looks, name):
    """A name server that does not answer, say: our timeouts do not reach into it."""
    end = threading.Event()
    looks.setattr(diagnosis, "WITHIN_S", 0.1)
    looks.setattr(diagnosis, "MARGIN_S", 0.1)
    looks.setattr(diagnosis, name, lambda *_, **__: end.wait(60))
    start = time.monotonic()
    found = diagnose(SETTINGS)
    assert time.monotonic() - start < 30
    assert found.is_unreachable
    end.set()


@pytest.mark.parametrize("name", ["collect_redis_facts", "collect_broker_facts", "collect_sockudo_facts"])
def test_an_error_is_raised_where_the_result_is_asked_for(looks, name):
    """A setting that is wrong, or a bug: not a line among others."""

    def look(*_, **__):
        raise ConfigurationError("SOCKUDO_X: wrong")

    looks.setattr(diagnosis, name, look)
    with pytest.raises(ConfigurationError, match="SOCKUDO_X"):
        diagnose(SETTINGS)


@pytest.mark.parametrize(
    ("settings", "app", "complaint"),
    [
        (Settings(), "default", "SOCKUDO_URL"),
        (SETTINGS, "other", "SOCKUDO_APPS"),
        (Settings(apps={"other": "http://key@h/apps/a"}), "other", r"apps\['other'\] \(SOCKUDO_APPS\)"),
        (Settings(url=SETTINGS.url, encryption_master_key_base64="short"), "default", "(?i)master"),
    ],
    ids=["no url", "no such app", "malformed", "master key"],
)
def test_settings_are_looked_at_first(looks, settings, app, complaint):
    """Nothing is asked with settings that cannot be understood."""
    with pytest.raises(ConfigurationError, match=complaint):
        diagnose(settings, app)


def test_a_misspelled_variable_is_a_risk(looks):
    """Its setting is at the default, and no user would see it."""
    looks.setenv("SOCKUDO_TIMEOUTT", "2")
    [found] = [finding for finding in diagnose(SETTINGS).findings if finding.name == "settings"]
    assert (found.state.value, found.why) == ("risk", "unknown: SOCKUDO_TIMEOUTT")
    assert found.change == "rename SOCKUDO_TIMEOUTT to SOCKUDO_TIMEOUT"


def test_the_encryption_key_is_called_by_its_variable(looks):
    """Not by the argument that the client has for it."""
    with pytest.raises(ConfigurationError, match=r"^SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64: not base64$"):
        diagnose(Settings.from_env({"SOCKUDO_URL": URL, "SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64": "of mine"}))
