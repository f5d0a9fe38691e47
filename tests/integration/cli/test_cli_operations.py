"""``status`` and ``dead`` against a journal in which something has gone wrong for real."""

from __future__ import annotations

import json
import time

import pytest

from sockudo_publisher.dev.embedded import SockudoApp, SockudoServer
from tests.support.parts import need
from tests.support.warm import WarmWorker

pytestmark = pytest.mark.integration

#: What the server of these tests refuses: a longer event name, which the publisher lets through.
MAX_NAME = 20
WAIT_S = 60.0


@pytest.fixture(scope="module")
def strict_server(tmp_path_factory):
    """A real server with a limit of its own."""
    need("sockudo")
    app = SockudoApp(limits={"max_event_batch_size": 2000, "max_event_name_length": MAX_NAME})
    with SockudoServer(tmp_path_factory.mktemp("strict"), [app], dedup_ttl_s=60) as server:
        yield server


@pytest.fixture
def worker(strict_server, environ, tmp_path):
    """A worker that delivers to it."""
    environ["SOCKUDO_URL"] = strict_server.url
    settings = {name: value for name, value in environ.items() if name.startswith("SOCKUDO_")}
    with WarmWorker(settings, directory=tmp_path / "worker") as process:
        yield process


def wait_for(look, until):
    """The first answer that is as it should be."""
    deadline = time.monotonic() + WAIT_S
    while True:
        answer = look()
        if until(answer):
            return answer
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)


@pytest.fixture
def letters(worker, run):
    """Two dead letters: events that the server refused, among others that it took."""
    for number in range(3):
        assert run("publish", f"fine-{number}", "ok", "x")[0] == 0
    for number in range(2):
        assert (
            run("publish", f"bad-{number}", "n" * (MAX_NAME + 1), '{"secret": "payload"}', "--key", f"k-{number}")[0]
            == 0
        )
    code, answer = wait_for(lambda: run("dead", "list"), lambda told: len(told[1]["letters"]) == 2)
    assert code == 0
    return sorted(answer["letters"], key=lambda letter: letter["channel"])


class TestStatus:
    def test_an_empty_journal_is_well(self, run):
        """Every lane is there, and empty."""
        code, answer = run("status")
        assert (code, answer["ok"]) == (0, True)
        [app] = answer["apps"]
        assert app["app"] == "default"
        assert [lane["depth"] for lane in app["lanes"]] == [0, 0, 0, 0]
        assert app["pause"] is None

    def test_what_waits_is_counted(self, run, start):
        """No worker runs: events wait, and grow old."""
        for number in range(5):
            run("publish", f"c{number}", "e", "x")
        code, answer = run("status")
        assert code == 0
        lanes = answer["apps"][0]["lanes"]
        assert sum(lane["depth"] for lane in lanes) == 5
        assert all((lane["oldest_age_s"] is not None) == (lane["depth"] > 0) for lane in lanes)
        stdout, _ = start("status").communicate(timeout=60)
        assert "default" in stdout.decode()

    def test_a_pause_is_a_risk(self, strict_server, environ, run, tmp_path):
        """A wrong secret: the worker pauses the app, status shows it and ends with 1."""
        environ["SOCKUDO_URL"] = strict_server.url.replace(":secret@", ":a-wrong-secret@")
        settings = {name: value for name, value in environ.items() if name.startswith("SOCKUDO_")}
        with WarmWorker(settings, directory=tmp_path / "worker"):
            run("publish", "c", "e", "x")
            code, answer = wait_for(lambda: run("status"), lambda told: told[1]["apps"][0]["pause"] is not None)
        assert (code, answer["ok"]) == (1, False)
        assert "a-wrong-secret" not in json.dumps(answer)

    def test_no_app_is_wrong_usage_unless_one_has_events(self, environ, run):
        """What to set is said; events of an app that is configured no more are shown all the same."""
        url = environ.pop("SOCKUDO_URL")
        code, answer = run("status")
        assert (code, answer["error"]["type"]) == (2, "ConfigurationError")
        assert answer["error"]["message"].startswith("SOCKUDO_URL: not set")
        environ["SOCKUDO_URL"] = url
        run("publish", "c", "e", "x")
        del environ["SOCKUDO_URL"]
        code, answer = run("status")
        assert (code, answer["apps"][0]["configured"]) == (1, False)

    def test_redis_away_is_unreachable(self, environ, run):
        """Not an empty journal."""
        environ["SOCKUDO_REDIS_URL"] = "redis://127.0.0.1:1/0"
        assert run("status")[0] == 3


class TestDead:
    def test_letters_are_listed_without_payloads(self, letters, run, start):
        """With the server's words; and status calls them a risk."""
        assert [letter["channel"] for letter in letters] == ["bad-0", "bad-1"]
        assert [letter["message_id"] for letter in letters] == ["k-0", "k-1"]
        assert all(letter["reason"] and letter["attempts"] >= 1 for letter in letters)
        assert "payload" not in json.dumps(letters)
        stdout, _ = start("dead", "list").communicate(timeout=60)
        assert "bad-0" in stdout.decode()
        assert "payload" not in stdout.decode()
        code, status = run("status")
        assert code == 1
        assert sum(lane["dead"] for lane in status["apps"][0]["lanes"]) == 2

    def test_a_payload_is_shown_on_request_only(self, letters, run):
        """It may contain data that a terminal should not show."""
        one = letters[0]
        code, answer = run("dead", "show", one["id"])
        assert code == 0
        assert answer["letter"] == one
        assert run("dead", "show", one["id"], "--payload")[1]["letter"]["data"] == '{"secret": "payload"}'

    def test_a_replayed_letter_is_tried_again(self, letters, run):
        """And is dead again, since nothing has changed; the other one is left alone."""
        code, answer = run("dead", "replay", letters[0]["id"])
        assert (code, answer["replayed"]) == (0, 1)
        wait_for(
            lambda: {letter["id"] for letter in run("dead", "list")[1]["letters"]},
            lambda ids: len(ids) == 2 and letters[0]["id"] not in ids and letters[1]["id"] in ids,
        )

    def test_all_are_replayed(self, letters, run):
        """Once each."""
        code, answer = run("dead", "replay", "--all")
        assert (code, answer["replayed"]) == (0, 2)

    def test_purged_letters_are_gone(self, letters, run):
        """One, then the rest."""
        assert run("dead", "purge", letters[0]["id"], "--yes")[1]["purged"] == 1
        assert [letter["id"] for letter in run("dead", "list")[1]["letters"]] == [letters[1]["id"]]
        assert run("dead", "purge", "--all", "--yes")[1]["purged"] == 1
        assert run("dead", "list")[1]["letters"] == []

    def test_an_unknown_letter_is_said_to_be_unknown(self, run):
        """An operator who believes that it was replayed would wait for it in vain."""
        code, answer = run("dead", "show", "0-1-1")
        assert (code, answer["ok"], answer["error"]["type"], answer["error"]["absent"]) == (1, False, "Absent", 1)
        assert run("dead", "show", "nonsense")[0] == 2
        for args in (("replay", "0-1-1"), ("purge", "0-1-1", "--yes")):
            code, answer = run("dead", *args)
            assert (code, answer["ok"], answer["absent"]) == (1, False, 1)
            process_code, _ = run("dead", args[0], "nonsense", *args[2:])
            assert process_code == 2


class TestResume:
    def test_an_app_that_was_not_paused_goes_on(self, run):
        """Nothing to do is done."""
        assert run("resume") == (0, {"ok": True, "app": "default", "resumed": False})

    def test_a_pause_is_ended(self, strict_server, environ, run, tmp_path):
        """Until the worker meets the same trouble again."""
        environ["SOCKUDO_URL"] = strict_server.url.replace(":secret@", ":a-wrong-secret@")
        settings = {name: value for name, value in environ.items() if name.startswith("SOCKUDO_")}
        with WarmWorker(settings, directory=tmp_path / "worker"):
            run("publish", "c", "e", "x")
            wait_for(lambda: run("status"), lambda told: told[1]["apps"][0]["pause"] is not None)
        assert run("resume")[1]["resumed"] is True
        assert run("status")[1]["apps"][0]["pause"] is None
