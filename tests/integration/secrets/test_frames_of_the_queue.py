"""No secret and no payload is in a variable of a frame, however Redis, the broker or a drain fails."""

from __future__ import annotations

import logging
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from sockudo_publisher import operations, publish, publish_many
from sockudo_publisher.cli import main
from sockudo_publisher.config.settings import configure, get_settings
from sockudo_publisher.doctor import diagnose
from sockudo_publisher.errors import ConfigurationError, JournalUnavailable, SockudoError
from sockudo_publisher.journal.pack import Item
from sockudo_publisher.outbox.relay import append as relay_rows
from sockudo_publisher.outbox.row import build_rows
from sockudo_publisher.publishing.call import PublishCall
from sockudo_publisher.wiring.app import app_named
from sockudo_publisher.workerapp import run_drain
from tests.support.cases import in_depth
from tests.support.frames import assert_hidden, error_of, find_in_frames, shows
from tests.support.stack import Stack

pytestmark = pytest.mark.integration

SECRET = "S3CRETS3CRET"
PAYLOAD = "not-for-the-tracker"
APP_URL = f"http://key:{SECRET}@127.0.0.1:9/apps/a"


class WebServer(socketserver.BaseRequestHandler):
    """Answers a greeting of TLS as a web server without TLS does."""

    def handle(self) -> None:
        self.request.recv(1 << 16)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


@pytest.fixture(scope="module")
def other_program() -> Iterator[int]:
    """The port of a program that is no Redis."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), WebServer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


BROKEN = ["refuses the password", "is away", "is another program", "never answers"]


@pytest.fixture(params=in_depth(BROKEN, quick=BROKEN[:3]))
def broken_redis(request, redis_url, other_program, monkeypatch) -> Iterator[str]:
    """Settings whose Redis cannot be used; its URL holds the secret."""
    host = redis_url.partition("://")[2].partition("/")[0]
    url = {
        "refuses the password": f"redis://unknown-{SECRET}:{SECRET}@{host}/0",
        "is away": f"redis://user:{SECRET}@127.0.0.1:9/0",
        "is another program": f"rediss://user:{SECRET}@127.0.0.1:{other_program}/0",
        "never answers": f"rediss://user:{SECRET}@{host}/0",  # a Redis without TLS waits for the end of a line
    }[request.param]
    yield from _settings(monkeypatch, SOCKUDO_REDIS_URL=url)


def _settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Iterator[str]:
    monkeypatch.setenv("SOCKUDO_URL", APP_URL)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    configure()
    yield next(iter(variables.values()))
    monkeypatch.undo()
    configure()


CALLS: dict[str, Callable[[], object]] = {
    "delay": lambda: publish.delay("c", "e", PAYLOAD),
    "delay with a key": lambda: publish.delay("c", "e", PAYLOAD, key="k"),
    "bulk": lambda: publish_many([("c", "e", PAYLOAD)] * 3),
    "countdown": lambda: publish.apply_async(("c", "e", PAYLOAD), countdown=60),
    "countdown with a key": lambda: publish.apply_async(("c", "e", PAYLOAD), {"key": "k"}, countdown=60),
    "append": lambda: app_named().producer.append([Item("c", PAYLOAD.encode())]),
    "status": operations.status,
    "dead letters": lambda: operations.dead_list(get_settings(), "default", 1),
    "resume": operations.resume,
    "drain": lambda: run_drain.run("default", 0),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_failing_redis_shows_nothing(broken_redis, call):
    """By every way into the journal; neither redis-py's frames nor ours."""
    error = error_of(call)
    assert isinstance(error, SockudoError)
    assert_hidden(error, SECRET)
    if call is not CALLS["append"]:  # its caller has the items, whose repr hides what they hold
        assert_hidden(error, PAYLOAD)
    assert not shows(app_named().producer._link, [SECRET])


def test_redis_that_never_answers_shows_nothing(redis_url, monkeypatch):
    """The time limit has frames of its own; the other ways into the journal meet it in `make test-depth`."""
    host = redis_url.partition("://")[2].partition("/")[0]
    for _ in _settings(monkeypatch, SOCKUDO_REDIS_URL=f"rediss://user:{SECRET}@{host}/0"):
        error = error_of(CALLS["delay"])
        assert isinstance(error, JournalUnavailable)
        assert "no answer within" in str(error)
        assert_hidden(error, SECRET, PAYLOAD)


def test_failing_relay_shows_nothing(broken_redis, caplog):
    """The relay raises nothing: rows wait, with a reason."""
    with caplog.at_level(logging.DEBUG):
        moved = relay_rows(build_rows(PublishCall("c", "e", PAYLOAD)))
    assert moved.waiting
    assert not shows(moved, [SECRET, PAYLOAD])
    assert SECRET not in caplog.text
    assert PAYLOAD not in caplog.text


@pytest.mark.parametrize("command", [["status"], ["dead", "list"], ["publish", "c", "e", "x"], ["resume"]], ids=str)
def test_failing_command_shows_nothing(broken_redis, command):
    """Neither in its output nor in the frames of its exit."""
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 3, result.output
    assert SECRET not in result.output
    assert result.exc_info is not None
    assert_hidden(result.exc_info[1], SECRET)


def test_failing_doctor_shows_nothing(broken_redis):
    """Its findings hold no secret, and it raises nothing."""
    diagnosis = diagnose(get_settings(), "default")
    assert diagnosis.is_unreachable
    assert not shows(diagnosis, [SECRET])


@pytest.mark.parametrize(
    "broker",
    [
        pytest.param(f"amqp://user:{SECRET}@127.0.0.1:9//", id="amqp away"),
        pytest.param(f"redis://user:{SECRET}@127.0.0.1:9/0", id="redis away"),
        pytest.param(f"amqp://user:{SECRET}@127.0.0.1:9//;amqp://user:{SECRET}2@127.0.0.1:10//", id="two away"),
        pytest.param("REFUSED", id="redis refuses"),
        pytest.param("NO AMQP", id="no amqp"),
    ],
)
def test_failing_broker_shows_nothing(redis_url, monkeypatch, caplog, broker):
    """A message of a canvas raises; a doorbell is logged, and the event is stored."""
    host = redis_url.partition("://")[2].partition("/")[0]
    broker = {"REFUSED": f"redis://unknown:{SECRET}@{host}/0", "NO AMQP": f"amqp://user:{SECRET}@{host}//"}.get(
        broker, broker
    )
    with caplog.at_level(logging.DEBUG):
        for _ in _settings(monkeypatch, SOCKUDO_BROKER_URL=broker, SOCKUDO_REDIS_URL=redis_url):
            error = error_of(lambda: publish.apply_async(("c", "e", PAYLOAD), group_id="g"))
            assert isinstance(error, JournalUnavailable | ConfigurationError)
            assert_hidden(error, SECRET, PAYLOAD)
            assert publish.delay("c", "e", PAYLOAD).id
    assert SECRET not in caplog.text
    assert PAYLOAD not in caplog.text


class Recorder(logging.Handler):
    """Keeps records, as an error tracker's handler does; the frames are looked at when a record comes."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []
        self.found: list[str] = []
        self.tracebacks = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())
        if record.exc_info and record.exc_info[1] is not None:
            self.tracebacks += 1
            self.found += find_in_frames(record.exc_info[1], [SECRET, PAYLOAD])


def test_failing_drain_is_logged_without_variables(redis_url, monkeypatch):
    """A defect in the middle of a drain is logged with its traceback: places, no batch, no body, no signed request."""
    recorder = Recorder()
    logging.getLogger().addHandler(recorder)
    try:
        for _ in _settings(monkeypatch, SOCKUDO_REDIS_URL=redis_url):
            publish.delay("c", "e", PAYLOAD)
            lane = app_named().producer.layout().appending.lane_of("c")

            def fail(*_args: Any, **_options: Any) -> None:
                raise ZeroDivisionError

            monkeypatch.setattr("sockudo_publisher.client.http.deadline._connect", fail)
            assert run_drain.run_guarded("default", lane) is None
    finally:
        logging.getLogger().removeHandler(recorder)
    assert recorder.tracebacks
    assert recorder.found == []
    assert not any(SECRET in text or PAYLOAD in text for text in recorder.texts)


def test_statuses_of_the_server_show_nothing(stack: Stack):
    """An error of each kind that a real server gives, for a wrong secret, a wrong key, and a refused event."""
    client = app_named().client
    for call in (
        lambda: client.trigger(stack.channel(), "e", PAYLOAD, message_id="x" * 129),
        lambda: client.call("POST", "/nowhere", body=PAYLOAD.encode()),
        lambda: client.call("POST", "/events", body=f'{{"x": "{PAYLOAD}"}}'.encode()),
    ):
        error = error_of(call)
        assert find_in_frames(error, ["auth_signature"]) == []
        assert find_in_frames(error, [PAYLOAD]) == []
    wrong = type(client).from_url(stack.server.url.replace("secret", SECRET), retries=None)
    error = error_of(lambda: wrong.trigger(stack.channel(), "e", PAYLOAD))
    assert_hidden(error, SECRET, "auth_signature", PAYLOAD)
