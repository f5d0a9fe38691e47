"""`configure()`: what it is given wins, until it is called again."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator

import pytest

import sockudo_publisher
from sockudo_publisher.config import settings as module
from sockudo_publisher.config.settings import Fields, Settings, configure, get_settings, on_configure
from sockudo_publisher.errors import ConfigurationError
from sockudo_publisher.wiring.app import app_named

pytestmark = pytest.mark.unit

SECRET = "s3cr3t-of-configure"
URL = f"http://key:{SECRET}@127.0.0.1:9/apps/app"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """No settings before the test, none after it."""
    for name in list(module.os.environ):
        if name.startswith("SOCKUDO_"):
            monkeypatch.delenv(name)
    configure()
    yield monkeypatch
    monkeypatch.undo()
    configure()


def test_environment_is_read_at_the_first_use(clean: pytest.MonkeyPatch) -> None:
    """Once: later changes count after the next `configure()`."""
    clean.setenv("SOCKUDO_LANES", "3")
    assert get_settings().lanes == 3
    clean.setenv("SOCKUDO_LANES", "4")
    assert get_settings().lanes == 3
    configure()
    assert get_settings().lanes == 4


def test_given_fields_win_over_the_environment(clean: pytest.MonkeyPatch) -> None:
    """The others still come from there."""
    clean.setenv("SOCKUDO_LANES", "3")
    clean.setenv("SOCKUDO_TIMEOUT", "2")
    sockudo_publisher.configure(lanes=16, url=URL)
    assert (get_settings().lanes, get_settings().timeout, get_settings().url) == (16, 2.0, URL)


def test_given_settings_are_all(clean: pytest.MonkeyPatch) -> None:
    """Nothing is read then, malformed variables neither."""
    clean.setenv("SOCKUDO_LANES", "no number")
    given = Settings(timeout=1)
    configure(given)
    assert get_settings() is given


@pytest.mark.parametrize("variable", ["SOCKUDO_REDIS_URL", "SOCKUDO_REDIS_URL_FILE"])
def test_variable_of_a_given_field_is_not_read(variable: str, clean: pytest.MonkeyPatch) -> None:
    """Whatever is in it."""
    clean.setenv(variable, "/no/such/thing")
    configure(redis_url="redis://h/1")
    assert get_settings().redis_url == "redis://h/1"


def test_second_call_replaces_the_first() -> None:
    """It does not add to it."""
    configure(lanes=3, timeout=2)
    configure(lanes=4)
    assert (get_settings().lanes, get_settings().timeout) == (4, Settings().timeout)


def test_broker_follows_the_given_redis() -> None:
    """As with the variables."""
    configure(redis_url="redis://elsewhere:6379/5")
    assert get_settings().broker_url == "redis://elsewhere:6379/5"


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("lanes", 0, "must be between 1 and 256"),
        ("lanes", "8", "expected a whole number, got str"),
        ("lanes", True, "expected a whole number, got bool"),
        ("lanes", 8.0, "expected a whole number, got float"),
        ("lanes", None, "expected a whole number, got NoneType"),
        ("timeout", float("nan"), "must be between 0.01 and 3600"),
        ("timeout", "5", "expected a number, got str"),
        ("url", 5, "expected text, got int"),
        ("redis_url", None, "expected text, got NoneType"),
        ("redis_url", f"http://{SECRET}", "expected redis"),
        ("broker_url", f"sqs://{SECRET}", ""),
        ("on_uncertain", "hold", "hold is called park now; must be one of resend, park"),
        ("on_uncertain", SECRET, "must be one of resend, park"),
        ("on_uncertain", ["park"], "must be one of resend, park"),
        ("redis_wait", (1,), "expected replicas:ms"),
        ("redis_wait", (0, 5), "expected replicas:ms"),
        ("redis_wait", ("1", "5"), "expected replicas:ms"),
        ("redis_wait", f"1:{SECRET}", "expected replicas:ms"),
        ("apps", {"a": 1}, "expected a JSON object"),
        ("apps", [URL], "expected a JSON object"),
        ("apps", {"default": URL}, "belongs to SOCKUDO_URL"),
        ("namespace", "a:b", "expected 1 to 64 ASCII letters"),
    ],
)
def test_wrong_value_is_refused_at_the_call(field: str, value: object, complaint: str) -> None:
    """It names the field and the variable, never the value; the settings stay as they were."""
    configure(lanes=5)
    for refuse in (configure, Settings):
        with pytest.raises(ConfigurationError) as caught:
            refuse(**{field: value})  # type: ignore[arg-type]
        assert str(caught.value).startswith(f"{field} (SOCKUDO_{field.upper()}): ")
        assert complaint in str(caught.value)
        assert SECRET not in str(caught.value)
    assert get_settings().lanes == 5


def test_unknown_name_is_a_type_error() -> None:
    """With the nearest one."""
    with pytest.raises(TypeError, match=r"no setting is named 'lane', did you mean 'lanes'\?$"):
        configure(lane=5)  # type: ignore[call-arg]


@pytest.mark.parametrize("given", [URL, {"url": URL}, None.__class__])
def test_what_is_no_settings_object_is_a_type_error(given: object) -> None:
    """Named by its type."""
    with pytest.raises(TypeError, match=r"expects Settings or fields by name, got \w+$"):
        configure(given)  # type: ignore[arg-type]


def test_settings_and_fields_together_are_refused() -> None:
    """`dataclasses.replace` is for that."""
    with pytest.raises(TypeError, match="not both"):
        configure(Settings(), lanes=3)


def test_later_errors_name_the_field_too() -> None:
    """The URL of an app is only read when the app is used."""
    configure(url=f"ftp://{SECRET}", apps={"shop": SECRET})
    for name, begin in ((None, r"^url \(SOCKUDO_URL\): "), ("shop", r"^apps\['shop'\] \(SOCKUDO_APPS\): ")):
        with pytest.raises(ConfigurationError, match=begin) as caught:
            app_named(name)
        assert SECRET not in str(caught.value)


def test_errors_of_variables_name_the_variable(clean: pytest.MonkeyPatch) -> None:
    """Alone: the reader knows no field."""
    clean.setenv("SOCKUDO_URL", f"ftp://{SECRET}")
    with pytest.raises(ConfigurationError, match=r"^SOCKUDO_URL: "):
        app_named()


def test_window_complaint_names_each_where_it_was_given(clean: pytest.MonkeyPatch) -> None:
    """At the first use: only then both are known."""
    clean.setenv("SOCKUDO_DELIVERY_TIMEOUT", "60")
    configure(dedup_window=20)
    with pytest.raises(ConfigurationError, match=r"^dedup_window \(SOCKUDO_DEDUP_WINDOW\): .* SOCKUDO_DELIVERY_TIME"):
        get_settings()


def test_no_repr_shows_a_secret() -> None:
    """Neither that of the settings nor of what keeps them."""
    configure(url=URL, redis_url=f"redis://:{SECRET}@h/0", encryption_master_key_base64=SECRET, apps={"shop": URL})
    assert SECRET not in repr(get_settings())
    assert SECRET not in repr(module._source)


def test_apps_cannot_be_changed_afterwards() -> None:
    """The caller's dict is copied."""
    apps = {"shop": URL}
    configure(apps=apps)
    apps["late"] = URL
    assert list(get_settings().apps) == ["shop"]


def test_typed_fields_are_the_settings() -> None:
    """What a type checker lets through is what there is."""
    assert list(Fields.__annotations__) == [one.name for one in dataclasses.fields(Settings)]
    types = {one.name: one.type for one in dataclasses.fields(Settings)}
    assert {name: kind.__forward_arg__ for name, kind in Fields.__annotations__.items()} == types


def test_callbacks_run_after_the_change(clean: pytest.MonkeyPatch) -> None:
    """So that what they drop is made anew of the new settings."""
    seen: list[int] = []
    clean.setattr(module, "_on_configure", [])
    on_configure(lambda: seen.append(get_settings().lanes))
    configure(lanes=3)
    configure(lanes=4)
    configure()
    assert seen == [3, 4, Settings().lanes]


def test_threads_get_one_object() -> None:
    """Also where all of them are the first."""
    configure(lanes=3)
    barrier, got = threading.Barrier(8), []

    def use() -> None:
        barrier.wait()
        got.append(get_settings())

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert len({id(one) for one in got}) == 1


def test_app_follows_the_settings() -> None:
    """It is made once, and anew after a change."""
    configure(url=URL)
    before = app_named()
    assert app_named() is before
    configure(url=URL.replace("/apps/app", "/apps/other"))
    assert repr(app_named().client) == "Sockudo(app_id='other', 'http://127.0.0.1:9')"


def test_app_made_while_settings_change_is_not_kept(clean: pytest.MonkeyPatch) -> None:
    """The change comes between reading the settings and keeping the app."""
    from sockudo_publisher.wiring import app as wiring

    configure(url=URL, lanes=3)
    build = wiring.App

    def build_slowly(settings: Settings, name: str) -> wiring.App:
        made = build(settings, name)
        clean.setattr(wiring, "App", build)
        configure(url=URL, lanes=4)
        return made

    clean.setattr(wiring, "App", build_slowly)
    assert app_named().producer is not None
    assert wiring._apps == {}
