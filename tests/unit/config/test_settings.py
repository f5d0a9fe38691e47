"""Every variable: its value, its default, its bounds, its complaint; and docs/settings.md tells the same."""

from __future__ import annotations

import dataclasses
import json
import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.config import settings as module
from sockudo_publisher.config.misspelled import unknown_variables
from sockudo_publisher.config.settings import DEFAULT_APP, Settings
from sockudo_publisher.delivery import window
from sockudo_publisher.errors import ConfigurationError

pytestmark = pytest.mark.unit

SECRET = "s3cr3t-that-no-log-may-show"
URL = f"http://key:{SECRET}@127.0.0.1:6001/apps/app"

GOOD = [
    ("SOCKUDO_URL", URL, "url", URL),
    ("SOCKUDO_REDIS_URL", "redis://redis:6379/1", "redis_url", "redis://redis:6379/1"),
    ("SOCKUDO_BROKER_URL", "amqp://rabbit//", "broker_url", "amqp://rabbit//"),
    (
        "SOCKUDO_BROKER_URL",
        "unix:///run/redis.sock?db=1",
        "broker_url",
        "redis+socket:///run/redis.sock?virtual_host=1",
    ),
    ("SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64", "QUJD", "encryption_master_key_base64", "QUJD"),
    ("SOCKUDO_TIMEOUT", "2.5", "timeout", 2.5),
    ("SOCKUDO_DELIVERY_TIMEOUT", "10", "delivery_timeout", 10.0),
    ("SOCKUDO_BATCH_MAX_EVENTS", "1_000", "batch_max_events", 1000),
    ("SOCKUDO_BATCH_MAX_BYTES", "1024", "batch_max_bytes", 1024),
    ("SOCKUDO_LANES", "256", "lanes", 256),
    ("SOCKUDO_DEDUP_WINDOW", "35.1", "dedup_window", 35.1),
    ("SOCKUDO_ON_UNCERTAIN", "park", "on_uncertain", "park"),
    ("SOCKUDO_ON_UNCERTAIN", "resend", "on_uncertain", "resend"),
    ("SOCKUDO_MAX_BACKLOG", "0", "max_backlog", 0),
    ("SOCKUDO_MAX_SCHEDULED", "0", "max_scheduled", 0),
    ("SOCKUDO_MAX_EVENT_BYTES", " 20480 ", "max_event_bytes", 20480),
    ("SOCKUDO_KEY_TTL", "60", "key_ttl", 60.0),
    ("SOCKUDO_MAX_RATE", "1e3", "max_rate", 1000.0),
    ("SOCKUDO_REDIS_WAIT", "2:150", "redis_wait", (2, 150)),
    ("SOCKUDO_ON_EXPIRED", "dead", "on_expired", "dead"),
    ("SOCKUDO_ON_EXPIRED", "drop", "on_expired", "drop"),
    ("SOCKUDO_ON_UNAVAILABLE", "raise", "on_unavailable", "raise"),
    ("SOCKUDO_ON_UNAVAILABLE", "log", "on_unavailable", "log"),
    ("SOCKUDO_DEAD_MAX", "1_000", "dead_max", 1000),
    ("SOCKUDO_DEAD_MAX_BYTES", "0", "dead_max_bytes", 0),
    ("SOCKUDO_DEAD_TTL", "3600", "dead_ttl", 3600.0),
    ("SOCKUDO_SHOW_ANSWERS", "1", "show_answers", True),
    ("SOCKUDO_SHOW_ANSWERS", "No", "show_answers", False),
    ("SOCKUDO_APPS", json.dumps({"shop": URL}), "apps", {"shop": URL}),
    ("SOCKUDO_APPS", "{}", "apps", {}),
    ("SOCKUDO_NAMESPACE", " staging_2-b ", "namespace", "staging_2-b"),
    ("SOCKUDO_JSON", "orjson", "json", "orjson"),
    ("SOCKUDO_TELEMETRY", "prometheus", "telemetry", ("prometheus",)),
    ("SOCKUDO_TELEMETRY", " otel, prometheus,otel ", "telemetry", ("otel", "prometheus")),
    ("SOCKUDO_LOG", "json", "log", "json"),
    ("SOCKUDO_METRICS_PORT", "9464", "metrics_port", 9464),
    ("SOCKUDO_METRICS_HOST", "0.0.0.0", "metrics_host", "0.0.0.0"),
    ("SOCKUDO_METRICS_HOST", "::1", "metrics_host", "::1"),
    ("SOCKUDO_DASHBOARD_TOKEN", "0123456789abcdef", "dashboard_token", "0123456789abcdef"),
]

#: The fields that a variable can set; a function has no text.
FIELDS = [field.name for field in dataclasses.fields(Settings) if field.name != "json_encoder"]

NOT_NUMBERS = ["x", "1,5", "--", "1 2", "0x10", "\u0663\u0663", "\uff13\uff13", SECRET]
BAD: dict[str, list[str]] = {
    "SOCKUDO_REDIS_URL": [SECRET, URL, f"redis://:{SECRET}/x@h:6379/0", f"redis://h/{SECRET}"],  # more: test_addresses
    "SOCKUDO_BROKER_URL": [SECRET, URL, f"amqp://u:{SECRET}/x@h"],
    "SOCKUDO_TIMEOUT": [*NOT_NUMBERS, "0", "-1", "3601", "nan", "inf", "-inf"],
    "SOCKUDO_DELIVERY_TIMEOUT": [*NOT_NUMBERS, "0", "0.05", "1e9", "nan"],
    "SOCKUDO_BATCH_MAX_EVENTS": [*NOT_NUMBERS, "0", "-5", "100001", "1.5", "1e3", "nan"],
    "SOCKUDO_BATCH_MAX_BYTES": [*NOT_NUMBERS, "1023", "1073741825", "4MB"],
    "SOCKUDO_LANES": [*NOT_NUMBERS, "0", "257", "8.0"],
    "SOCKUDO_DEDUP_WINDOW": [*NOT_NUMBERS, "0", "-120", "1e8", "nan"],
    "SOCKUDO_ON_UNCERTAIN": ["", "Park", "drop", SECRET],
    "SOCKUDO_MAX_BACKLOG": [*NOT_NUMBERS, "-1", "9007199254740993", "9" * 5000],
    "SOCKUDO_MAX_SCHEDULED": [*NOT_NUMBERS, "-1", "9007199254740993"],
    "SOCKUDO_MAX_EVENT_BYTES": [*NOT_NUMBERS, "0", "10KB"],
    "SOCKUDO_KEY_TTL": [*NOT_NUMBERS, "0", "0.5"],
    "SOCKUDO_MAX_RATE": [*NOT_NUMBERS, "-1", "nan"],
    "SOCKUDO_REDIS_WAIT": [
        *("1", ":", "1:", ":100", "0:100", "1:0", "-1:100", "1:1.5", "1:2:3", "a:b", "²:100", "1:²", "1:" + "9" * 5000),
        SECRET,
    ],
    "SOCKUDO_METRICS_PORT": [*NOT_NUMBERS, "-1", "65536", "9464/tcp"],
    "SOCKUDO_METRICS_HOST": ["a b", "a/b", "[::1]", "h:9464", "ü", "a\nb", SECRET + "@h"],
    "SOCKUDO_DASHBOARD_TOKEN": ["short", "x" * 15, "x" * 513, "with a space in it", "ünicode-is-no-header"],
    "SOCKUDO_TELEMETRY": ["Prometheus", "statsd", "prometheus;otel", SECRET],
    "SOCKUDO_LOG": ["", "JSON", "yaml", SECRET],
    "SOCKUDO_JSON": ["", "JSON", "simplejson", SECRET],
    "SOCKUDO_ON_EXPIRED": ["", "Dead", "keep", SECRET],
    "SOCKUDO_DEAD_MAX": [*NOT_NUMBERS, "-1", "1000000001"],
    "SOCKUDO_DEAD_MAX_BYTES": [*NOT_NUMBERS, "-1", "64MiB"],
    "SOCKUDO_DEAD_TTL": [*NOT_NUMBERS, "-1", "30d", "nan"],
    "SOCKUDO_SHOW_ANSWERS": ["2", "y", "maybe", "-1"],
    "SOCKUDO_NAMESPACE": [
        *("a:b", "a.b", "a b", "{a}", "a*", "a?", "a[b]", "a/b", "ü", "sockudo", "a\nb", "a" * 65),
        *(SECRET + "!", "%41"),
    ],
    "SOCKUDO_APPS": [
        *("x", "[]", "null", "3", '"a"', "{", '{"a": 1}', '{"a": null}', '{"a": {}}', '{"": "http://x"}', '{"a": ""}'),
        *(URL, json.dumps({"shop": [URL]}), "[" * 100_000, '{"a":' * 100_000),
    ],
}


def read(**environ: str) -> Settings:
    return Settings.from_env(environ)


def without_empty(values: list[str]) -> list[str]:
    return [value for value in values if value]


def test_nothing_set_gives_the_defaults() -> None:
    """No variable has to be set to read the settings; the broker is the journal's Redis."""
    assert read() == Settings()
    assert read().broker_url == read().redis_url == "redis://127.0.0.1:6379/0"


@pytest.mark.parametrize(("name", "text", "field", "value"), GOOD, ids=[f"{one[0]}={one[1]:.12}" for one in GOOD])
def test_variable_is_read(name: str, text: str, field: str, value: object) -> None:
    """Into its field, and into no other."""
    settings = read(**{name: text})
    assert getattr(settings, field) == value
    others = {one.name for one in dataclasses.fields(Settings)} - {field}
    assert {one for one in others if getattr(settings, one) != getattr(read(), one)} <= (
        {"broker_url"} if field == "redis_url" else set()
    )


def test_every_field_has_a_variable_that_is_tested() -> None:
    """A new field comes with a row above."""
    assert {row[2] for row in GOOD} == {*FIELDS}


@pytest.mark.parametrize("name", sorted({row[0] for row in GOOD}))
@pytest.mark.parametrize("text", ["", "  "])
def test_empty_variable_counts_as_not_set(name: str, text: str) -> None:
    """As a compose file leaves it."""
    assert read(**{name: text}) == read()


@pytest.mark.parametrize(
    ("name", "text"),
    [pytest.param(name, text, id=f"{name}={text[:12]}") for name in BAD for text in without_empty(BAD[name])],
)
def test_bad_value_is_named_and_not_echoed(name: str, text: str) -> None:
    """The complaint begins with the variable; the value is in no part of the error, nor behind it."""
    with pytest.raises(ConfigurationError, match=f"^{name}: ") as caught:
        read(**{name: text})
    error = caught.value
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    told = str(error).removeprefix(name)
    assert SECRET not in told
    if len(text) > len(":100"):  # which is in the example of SOCKUDO_REDIS_WAIT
        assert text not in told
    assert len(told) < 250


@pytest.mark.parametrize("text", ["x", "1e99", "\u0663"])
@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("SOCKUDO_TIMEOUT", "between 0.01 and 3600"),
        ("SOCKUDO_DEDUP_WINDOW", "between 0.1 and 10000000"),
        ("SOCKUDO_LANES", "between 1 and 256"),
    ],
)
def test_complaint_about_a_number_names_its_range(name: str, bounds: str, text: str) -> None:
    """Also where the text is no number at all."""
    with pytest.raises(ConfigurationError, match=f"^{name}: .*{bounds}$"):
        read(**{name: text})


@given(st.sampled_from(sorted(BAD)), st.text(st.characters(exclude_characters="\0"), max_size=30))
def test_any_text_is_read_or_refused_by_name(name: str, text: str) -> None:
    """Nothing but ConfigurationError comes out of an environment."""
    try:
        read(**{name: text})
    except ConfigurationError as error:
        if not str(error).startswith("SOCKUDO_"):
            raise


@pytest.mark.parametrize(
    ("window_s", "timeout_s"), [("35", "30"), ("34", "30"), ("15", "10"), ("0.1", "0.1"), ("120", "115")]
)
def test_window_that_no_resend_could_end_in_is_refused(window_s: str, timeout_s: str) -> None:
    """Not longer than the delivery timeout + 5 s: under `park` no resend could ever start."""
    with pytest.raises(ConfigurationError, match=r"^SOCKUDO_DEDUP_WINDOW: .*SOCKUDO_DELIVERY_TIMEOUT"):
        read(SOCKUDO_DEDUP_WINDOW=window_s, SOCKUDO_DELIVERY_TIMEOUT=timeout_s)
    with pytest.raises(ConfigurationError):
        Settings(dedup_window=float(window_s), delivery_timeout=float(timeout_s))


@pytest.mark.parametrize(("window_s", "timeout_s"), [("35.001", "30"), ("5.2", "0.1"), ("120", "114.9")])
def test_shortest_window_that_will_do(window_s: str, timeout_s: str) -> None:
    """A moment longer."""
    assert read(SOCKUDO_DEDUP_WINDOW=window_s, SOCKUDO_DELIVERY_TIMEOUT=timeout_s).dedup_window == float(window_s)


def test_default_window_is_too_short_for_a_long_timeout() -> None:
    """Setting only one of the two is checked against the other's default."""
    with pytest.raises(ConfigurationError, match=r"^SOCKUDO_DEDUP_WINDOW"):
        read(SOCKUDO_DELIVERY_TIMEOUT="115")


def test_old_word_for_park_gets_a_hint() -> None:
    """`hold` means a channel that waits behind its stuck event, and nothing else."""
    with pytest.raises(ConfigurationError, match=r"^SOCKUDO_ON_UNCERTAIN: hold is called park now"):
        read(SOCKUDO_ON_UNCERTAIN="hold")


def test_margin_is_the_windows_own() -> None:
    """Settings may not import delivery, so both have the number."""
    assert module.WINDOW_MARGIN_S == window.MARGIN_S


def test_policy_defaults_are_the_settings() -> None:
    """What tests of the loop assume is what workers run with."""
    settings, policy = Settings(), window.Policy()
    assert (policy.batch_max_events, policy.batch_max_bytes) == (settings.batch_max_events, settings.batch_max_bytes)
    assert (policy.window_s, policy.delivery_timeout_s) == (settings.dedup_window, settings.delivery_timeout)
    assert policy.on_uncertain == settings.on_uncertain


def test_repr_shows_no_secret() -> None:
    """URLs and keys hold credentials."""
    settings = read(
        SOCKUDO_URL=URL,
        SOCKUDO_REDIS_URL=f"redis://:{SECRET}@h/0",
        SOCKUDO_BROKER_URL=f"amqp://u:{SECRET}@h//",
        SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64=SECRET,
        SOCKUDO_APPS=json.dumps({"shop": URL}),
        SOCKUDO_DASHBOARD_TOKEN=SECRET * 4,
    )
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)


def test_copies_name_settings_alike() -> None:
    """For programs that start their processes by `spawn`."""
    settings = read(SOCKUDO_URL=URL, SOCKUDO_LANES="3")
    copy = pickle.loads(pickle.dumps(settings))
    assert copy == settings
    assert (copy.called("lanes"), copy.redis_address) == ("SOCKUDO_LANES", settings.redis_address)


def test_settings_cannot_be_changed() -> None:
    """They are read once and shared."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().lanes = 3  # type: ignore[misc]


# -- apps ---------------------------------------------------------------------------------------------


def test_apps_are_found_by_name() -> None:
    """`SOCKUDO_URL` is the default app beside those of `SOCKUDO_APPS`."""
    settings = read(SOCKUDO_URL=URL, SOCKUDO_APPS='{"shop": "http://a:b@shop/apps/1"}')
    assert settings.app_urls() == {DEFAULT_APP: URL, "shop": "http://a:b@shop/apps/1"}
    assert settings.url_of(DEFAULT_APP) == URL
    assert settings.url_of("shop") == "http://a:b@shop/apps/1"


def test_only_further_apps() -> None:
    """A program may have no default app."""
    settings = read(SOCKUDO_APPS='{"shop": "http://a:b@shop/apps/1"}')
    assert list(settings.app_urls()) == ["shop"]
    with pytest.raises(ConfigurationError, match=r"^SOCKUDO_URL: not set"):
        settings.url_of(DEFAULT_APP)


def test_unknown_app_is_named() -> None:
    """The name, and no URL."""
    with pytest.raises(ConfigurationError, match=r"^SOCKUDO_APPS: no app named 'shop'$"):
        read(SOCKUDO_URL=URL).url_of("shop")


def test_default_is_not_a_name_for_further_apps() -> None:
    """It would be two URLs for one name."""
    with pytest.raises(ConfigurationError, match=r"^SOCKUDO_APPS: the name 'default'"):
        read(SOCKUDO_APPS=json.dumps({DEFAULT_APP: URL}))


# -- variables that are not read -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("SOCKUDO_TIMEOUTT", "SOCKUDO_TIMEOUT"),
        ("SOCKUDO_REDIS", "SOCKUDO_REDIS_URL"),
        ("SOCKUDO_LANE", "SOCKUDO_LANES"),
        ("SOCKUDO_ENCRYPTION_MASTER_KEY", "SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64"),
        ("SOCKUDO_SOMETHING_ELSE", ""),
    ],
)
def test_misspelled_variable_is_found(name: str, nearest: str) -> None:
    """With the one that it was meant for, where one is near."""
    assert unknown_variables({name: "1", "PATH": "/bin"}) == {name: nearest}


def test_known_and_server_variables_are_no_misspellings() -> None:
    """The server may run beside us, with variables of its own under the same prefix."""
    others = ("SOCKUDO_BIN", "SOCKUDO_APP_KEY", "SOCKUDO_DEFAULT_APP_ID", "SOCKUDO_OTEL_ENABLED")
    assert unknown_variables(dict.fromkeys((*ROWS, *others), "x")) == {}


# -- docs/settings.md ---------------------------------------------------------------------------------

DOCUMENT = (Path(__file__).parents[3] / "docs" / "settings.md").read_text(encoding="utf-8")
ROWS = {
    cells[1].strip("`"): dict(zip(("field", "unit", "default", "range", "meaning"), cells[2:7], strict=True))
    for line in DOCUMENT.splitlines()
    if line.startswith("| `SOCKUDO_")
    for cells in [[cell.strip() for cell in line.split("|")]]
}


def test_every_field_is_documented_once() -> None:
    """In the order of the settings object, under the variable that is read."""
    assert [row["field"].strip("`") for row in ROWS.values()] == FIELDS
    assert {(name, row["field"].strip("`")) for name, row in ROWS.items()} == {(row[0], row[2]) for row in GOOD}
    assert all(row["unit"] and row["meaning"] for row in ROWS.values())


@pytest.mark.parametrize("name", ROWS)
def test_documented_default_is_the_default(name: str) -> None:
    """As read from an empty environment."""
    row = ROWS[name]
    default = getattr(read(), row["field"].strip("`"))
    documented = row["default"].strip("`")
    if default in (None, {}, "", ()):
        assert documented == "\N{EN DASH}"
    elif documented.startswith("= "):
        assert default == getattr(read(), ROWS[documented.removeprefix("= `").strip("`")]["field"].strip("`"))
    elif isinstance(default, int | float):
        assert float(documented) == default
    else:
        assert documented == default


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if re.match(r"[\d.]+ to", row["range"])])
def test_documented_range_is_the_range(name: str) -> None:
    """Both ends are allowed, what is beyond them is not."""
    low, high = (eval_number(one) for one in ROWS[name]["range"].split(" to "))
    field = ROWS[name]["field"].strip("`")
    wide = {"SOCKUDO_DEDUP_WINDOW": "10000000"} if name != "SOCKUDO_DEDUP_WINDOW" else {"SOCKUDO_DELIVERY_TIMEOUT": "1"}
    if name != "SOCKUDO_DEDUP_WINDOW":  # its lower end is the delivery timeout's business
        assert getattr(read(**wide, **{name: low}), field) == float(low)
    assert getattr(read(**wide, **{name: high}), field) == float(high)
    for beyond in (str(float(low) / 2 - 1), str(float(high) * 2)):
        text = str(int(float(beyond))) if isinstance(getattr(read(), field), int) else beyond
        with pytest.raises(ConfigurationError, match=f"^{name}: must be between"):
            read(**wide, **{name: text})


def eval_number(text: str) -> str:
    base, _, power = text.partition("^")
    return str(int(base) ** int(power)) if power else text


class Recorded(dict[str, str]):
    """An environment that remembers which of its variables were read."""

    def __init__(self, **values: str) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        self.asked.add(name)
        return super().get(name, default)


def test_documented_variables_are_what_from_env_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The paragraph that names the client's variables names them all, and no other."""
    environ = Recorded(SOCKUDO_URL=URL)
    monkeypatch.setattr("sockudo_publisher.client.sockudo.os.environ", environ)
    Sockudo.from_env()
    (paragraph,) = re.findall(r"^`Sockudo\.from_env\(\)`.*?\n\n", DOCUMENT + "\n\n", re.MULTILINE | re.DOTALL)
    asked = {name for name in environ.asked if name.startswith("SOCKUDO_")}
    assert asked == set(re.findall(r"`(SOCKUDO_\w+)`", paragraph))


@pytest.mark.parametrize("name", ["SOCKUDO_TIMEOUT", "SOCKUDO_MAX_EVENT_BYTES"])
def test_client_and_settings_read_alike(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same text is refused by both, in the same words."""
    for text in BAD[name]:
        with pytest.raises(ConfigurationError) as of_settings:
            read(**{name: text})
        monkeypatch.setattr("sockudo_publisher.client.sockudo.os.environ", {"SOCKUDO_URL": URL, name: text})
        with pytest.raises(ConfigurationError) as of_client:
            Sockudo.from_env()
        assert str(of_client.value) == str(of_settings.value)


@pytest.mark.parametrize(("namespace", "queue"), [("", "sockudo"), ("blue", "sockudo.blue")])
def test_queue_follows_the_namespace(namespace: str, queue: str) -> None:
    """Callers, workers and the doctor ask the settings for it."""
    assert read(SOCKUDO_NAMESPACE=namespace).queue == queue


def test_namespace_is_checked_wherever_it_is_from() -> None:
    """Settings that were made in a program are no different."""
    with pytest.raises(ConfigurationError, match=r"^namespace \(SOCKUDO_NAMESPACE\): "):
        Settings(namespace="a:sockudo")
