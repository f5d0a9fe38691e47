"""`SOCKUDO_JSON` and `configure(json_encoder=)`: the encoder of the queue and of direct calls."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from sockudo_publisher import ConfigurationError, Settings, ValidationError, configure
from sockudo_publisher.config.settings import get_settings
from sockudo_publisher.wiring.app import app_named

pytestmark = pytest.mark.unit

URL = "http://key:secret@127.0.0.1:1/apps/app"


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("SOCKUDO_URL", "SOCKUDO_JSON", "SOCKUDO_JSON_ENCODER"):
        monkeypatch.delenv(name, raising=False)
    yield
    configure()


def texts(value: Any) -> list[str]:
    """The text through the queue, and of a direct call."""
    app = app_named()
    return [app.encoder.payload(value), app.client.encoder.payload(value)]


@pytest.mark.parametrize("library", ["json", "orjson"])
def test_libraries_write_the_same(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By variable, and by call."""
    value = {"at": date(2026, 1, 2), "n": [1, 1e-7, "ü"], "s": "x"}
    monkeypatch.setenv("SOCKUDO_JSON", library)
    configure(url=URL)
    expected = ['{"at":"2026-01-02","n":[1,1e-07,"ü"],"s":"x"}'] * 2
    assert texts(value) == expected
    configure(url=URL, json=library)  # type: ignore[arg-type]
    assert texts(value) == expected


def test_orjson_is_asked_for_plain_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the setting would do nothing."""
    import orjson

    calls: list[object] = []

    def dumps(value: object) -> bytes:
        calls.append(value)
        return b"[]"

    monkeypatch.setattr(orjson, "dumps", dumps)
    configure(url=URL, json="orjson")
    assert texts({"n": 1}) == ["[]", "[]"]
    assert calls == [{"n": 1}] * 2


def test_absent_orjson_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is published, and in a worker at its start."""
    monkeypatch.setitem(sys.modules, "orjson", None)
    monkeypatch.setenv("SOCKUDO_JSON", "orjson")
    configure()
    with pytest.raises(ConfigurationError, match=r"^SOCKUDO_JSON: .*sockudo-publisher\[orjson\]"):
        get_settings()
    with pytest.raises(ConfigurationError, match=r"^json \(SOCKUDO_JSON\): .*sockudo-publisher\[orjson\]"):
        configure(json="orjson")


@pytest.mark.parametrize("encode", [lambda value: json.dumps([value]), lambda value: json.dumps([value]).encode()])
def test_function_of_ones_own_encodes(encode: Any) -> None:
    """It returns text or UTF-8; `str` and `bytes` go as they are all the same."""
    configure(url=URL, json="orjson", json_encoder=encode)
    assert texts({"n": 1}) == ['[{"n": 1}]'] * 2
    assert texts("text") == ["text"] * 2
    assert texts(b"text") == ["text"] * 2


class Tags(json.JSONEncoder):
    def default(self, value: Any) -> Any:
        return sorted(value)


def test_json_encoder_class_is_taken_too() -> None:
    """As the client's own option takes it."""
    configure(url=URL, json_encoder=Tags)
    assert texts({"tags": {"b", "a"}}) == ['{"tags":["a","b"]}'] * 2


def test_failures_of_ones_own_are_validation_errors() -> None:
    """With the path, and without the value."""

    def encode(value: Any) -> Any:
        if isinstance(value, set):
            return 1
        if isinstance(value, dict):
            raise RuntimeError("hush")
        return b"\xff"

    configure(url=URL, json_encoder=encode)
    for value, complaint in (
        ({"a": {"hush"}}, "data.a: not JSON, its encoder raised RuntimeError"),
        ({"hush"}, "data: not JSON, json_encoder returned a int, expected str or bytes"),
        ([1], "data[0]: not JSON, its encoder raised UnicodeDecodeError"),
    ):
        with pytest.raises(ValidationError) as caught:
            app_named().encoder.payload(value)
        assert str(caught.value) == complaint


def test_wrong_values_are_refused() -> None:
    """An encoder is a function, and no text."""
    for fields, complaint in (
        ({"json": "simplejson"}, "json (SOCKUDO_JSON): must be one of json, orjson"),
        ({"json_encoder": 1}, "json_encoder (SOCKUDO_JSON_ENCODER): a int, expected a callable"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            configure(**fields)  # type: ignore[arg-type]
        assert str(caught.value) == complaint
    with pytest.raises(ConfigurationError, match=r"^SOCKUDO_JSON_ENCODER: a text, expected a callable"):
        Settings.from_env({"SOCKUDO_JSON_ENCODER": "module:function"})
