"""``publish`` and ``publish-file`` as processes, against a real Redis."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from collections import defaultdict
from pathlib import Path

import pytest
import redis as redis_py

from sockudo_publisher.dev.embedded import RedisServer
from tests.integration.cli.conftest import LANES
from tests.support.cases import in_depth
from tests.support.parts import not_for_this_case

pytestmark = pytest.mark.integration

CHANNELS = 12
#: Events of more than one flush, and of more than a program stores before a test can act.
SOME, MANY = 2500, 10_000


def lines(count: int, first: int = 0) -> bytes:
    return b"".join(
        b'{"channel":"c%d","name":"e","data":{"n":%d}}\n' % (n % CHANNELS, n) for n in range(first, first + count)
    )


def numbers(events) -> dict[str, list[int]]:
    """What each channel holds, in its order."""
    found = defaultdict(list)
    for event in events:
        found[event["channel"]].append(json.loads(event["data"])["n"])
    return found


def expected(count: int) -> dict[str, list[int]]:
    return {f"c{channel}": list(range(channel, count, CHANNELS)) for channel in range(min(CHANNELS, count))}


def entries(redis) -> int:
    """How much of something is in Redis: grows while events are stored."""
    with redis_py.Redis.from_url(redis.url) as client:
        return xadds(client)


def xadds(client) -> int:
    return client.info("commandstats").get("cmdstat_xadd", {"calls": 0})["calls"]


#: Entries of which the first flush is answered for sure: one has at most 3 for each lane.
TWO_FLUSHES = 2 * 3 * LANES


def wait_for_entries(redis, more_than: int, process) -> None:
    """Until that much is stored. The process gives way to this one, which is to act before it is done."""
    os.setpriority(os.PRIO_PROCESS, process.pid, 19)
    until = time.monotonic() + 60
    with redis_py.Redis.from_url(redis.url) as client:
        while xadds(client) <= more_than:
            assert process.poll() is None, "it was done before the test could act"
            assert time.monotonic() < until
            time.sleep(0.005)


def wait_until_it_waits_for_input(process) -> None:
    """Until its pipe is empty and it does nothing any more: its processor time stands still."""
    if not Path("/proc/self/stat").exists():
        not_for_this_case("no /proc: what another process does is seen on Linux only")
    until, since, used = time.monotonic() + 120, time.monotonic(), -1.0
    while time.monotonic() - since < 1.0:
        assert time.monotonic() < until
        (unread,) = struct.unpack("i", fcntl.ioctl(process.stdin, termios.FIONREAD, b"\0" * 4))
        stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks, state = float(stat[11]) + float(stat[12]), stat[0]
        if unread or state == "R" or ticks != used:
            since, used = time.monotonic(), ticks
        time.sleep(0.02)


class TestPublish:
    def test_done_means_stored(self, run, stored):
        """With the id that the answer gives, and DATA as it is."""
        code, answer = run("publish", "orders", "shipped", '{"id": 789}')
        assert code == 0
        assert answer["ok"] is True
        [event] = stored()
        assert event["message_id"] == answer["message_id"]
        assert (event["channel"], event["name"], event["data"]) == ("orders", "shipped", '{"id": 789}')

    def test_the_same_key_stores_once(self, run, stored):
        """And the key is the message id."""
        for _ in range(2):
            assert run("publish", "orders", "shipped", "x", "--key", "order-789") == (
                0,
                {"ok": True, "message_id": "order-789"},
            )
        assert len(stored()) == 1

    def test_the_same_key_for_something_else_fails(self, run, stored):
        """It would otherwise be lost in silence."""
        run("publish", "orders", "shipped", "x", "--key", "order-789")
        code, answer = run("publish", "orders", "shipped", "y", "--key", "order-789")
        assert (code, answer["error"]["type"]) == (1, "IdempotencyConflict")
        assert len(stored()) == 1

    def test_data_from_standard_input(self, run, stored):
        """For what is too long for an argument, or secret."""
        assert run("publish", "c", "e", "-", "--socket-id", "1.2", stdin="grüß".encode())[0] == 0
        [event] = stored()
        assert (event["data"], event["socket_id"]) == ("grüß", "1.2")

    def test_a_redis_that_does_not_answer_leaves_it_open(self, run, redis, stored):
        """Whether it is stored is not known; repeated with the shown id it is stored once."""
        run("publish", "c", "e", "warm")
        redis.pause()
        try:
            code, answer = run("publish", "orders", "shipped", "x", "--key", "order-1")
        finally:
            redis.resume()
        assert (code, answer["error"]["message_id"]) == (3, "order-1")
        assert answer["error"]["stored"] in (None, False)
        assert run("publish", "orders", "shipped", "x", "--key", "order-1")[0] == 0
        assert [event["message_id"] for event in stored()].count("order-1") == 1

    def test_a_redis_behind_a_socket(self, run, redis, environ, stored, tmp_path):
        """The journal, the doorbell's broker and a countdown's results, all by unix://."""
        path = tmp_path / "r.sock"
        args = ["--unixsocket", str(path)]
        with RedisServer(tmp_path / "redis", appendonly=False, args=args, password="") as server:
            environ["SOCKUDO_REDIS_URL"] = f"unix://{path}?db=3"
            assert run("publish", "c", "e", "x")[0] == 0
            assert run("status")[1]["apps"][0]["app"] == "default"
            with redis_py.Redis(port=server.port, db=3) as client:
                assert client.llen("sockudo") == 1, "a doorbell"

    def test_people_are_told_too(self, start):
        """Without --json: a sentence, no object."""
        process = start("publish", "orders", "shipped", "the payload", "--key", "k-1")
        stdout, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
        assert b"orders" in stdout
        assert b"k-1" in stdout
        assert b"the payload" not in stdout


class TestPublishFile:
    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "events.ndjson"
        path.write_bytes(lines(SOME))
        return path

    def test_every_line_is_stored_in_order(self, run, stored, file):
        """Per channel, once."""
        code, answer = run("publish-file", str(file))
        assert code == 0
        assert (answer["count"], answer["already_stored"], answer["lines"]) == (SOME, 0, SOME)
        assert numbers(stored()) == expected(SOME)

    def test_a_second_run_stores_nothing(self, run, stored, file):
        """Its answer has the number that was stored before."""
        run("publish-file", str(file))
        code, answer = run("publish-file", str(file))
        assert code == 0
        assert (answer["count"], answer["already_stored"]) == (SOME, SOME)
        assert numbers(stored()) == expected(SOME)

    def test_again_stores_everything_anew(self, run, stored, file):
        """On purpose."""
        run("publish-file", str(file))
        code, answer = run("publish-file", str(file), "--again")
        assert code == 0
        assert (answer["count"], answer["already_stored"]) == (SOME, 0)
        assert len(stored()) == 2 * SOME

    def test_killed_in_the_middle_and_run_again(self, start, run, redis, stored, tmp_path):
        """Nothing twice, nothing lost, everything in order."""
        file = tmp_path / "long.ndjson"
        file.write_bytes(lines(MANY))
        for more in (TWO_FLUSHES, TWO_FLUSHES // 2):
            process = start("publish-file", str(file))
            wait_for_entries(redis, entries(redis) + more, process)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        code, answer = run("publish-file", str(file))
        assert code == 0
        assert answer["count"] == MANY
        assert 0 < answer["already_stored"] < MANY
        assert numbers(stored()) == expected(MANY)

    def test_redis_goes_away_in_the_middle(self, start, run, redis, stored, tmp_path):
        """Exit code 3 and a number; the same command completes it, in order."""
        file = tmp_path / "long.ndjson"
        file.write_bytes(lines(MANY))
        process = start("publish-file", str(file), "--json")
        wait_for_entries(redis, entries(redis) + TWO_FLUSHES, process)
        redis.pause()
        stdout, _ = process.communicate(timeout=60)
        redis.resume()
        assert process.returncode == 3
        error = json.loads(stdout)["error"]
        assert error["type"] == "BulkError"
        assert 0 < error["stored"] < MANY
        assert error["line"] == error["stored"] + 1

        code, answer = run("publish-file", str(file))
        assert code == 0
        assert answer["already_stored"] >= error["stored"]
        assert numbers(stored()) == expected(MANY)

    @pytest.mark.parametrize("before", in_depth([30, SOME], quick=["30"]))
    @pytest.mark.parametrize(
        ("line", "error_text"),
        [
            pytest.param(b"{broken\n", "not JSON", id="not json"),
            pytest.param(b'{"channel":"c","name":"e"}\n', "data: missing", id="no data"),
            pytest.param(b'{"channel":"no spaces","name":"e","data":1}\n', "channel", id="channel"),
            pytest.param(b'{"channel":"c","name":"","data":1}\n', "event name", id="name"),
            pytest.param(b'{"channel":"c","name":"e","data":"%s"}\n' % (b"x" * 10_241), "data", id="too large"),
            pytest.param(b'{"channel":"c","name":"e","data":1,"key":"%s"}\n' % (b"k" * 129), "key", id="key"),
            pytest.param(b'{"channel":"c","name":"e","data":1,"socket_id":"7"}\n', "socket_id", id="socket id"),
            pytest.param(b'{"channel":"c","name":"e","data":"\\ud800"}\n', "data", id="lone surrogate"),
            pytest.param(
                b'{"channel":"c","name":"e","data":1,"extras":{"headers":{"a":1,"b":2}}}\n', "extras", id="headers"
            ),
        ],
    )
    def test_a_bad_line_ends_the_run(self, run, stored, tmp_path, line, error_text, before):
        """The error has its number; the lines before it are stored, it and those after it are not."""
        file = tmp_path / "bad.ndjson"
        file.write_bytes(lines(before) + b"\n\n" + line + lines(10, first=before))
        code, answer = run("publish-file", str(file))
        assert code == 1
        assert answer["error"]["line"] == before + 3
        assert answer["error"]["stored"] == before
        assert answer["error"]["message"].startswith(f"line {before + 3}: ")
        assert error_text in answer["error"]["message"]
        assert "xxxx" not in answer["error"]["message"]
        assert numbers(stored()) == expected(before)

    def test_a_bad_line_behind_the_first_flush(self, run, stored, tmp_path):
        """As before it: what stands before the line is stored."""
        file = tmp_path / "bad.ndjson"
        file.write_bytes(lines(SOME) + b"{broken\n" + lines(10, first=SOME))
        code, answer = run("publish-file", str(file))
        assert (code, answer["error"]["line"], answer["error"]["stored"]) == (1, SOME + 1, SOME)
        assert numbers(stored()) == expected(SOME)

    def test_a_mended_file_goes_on_where_it_stopped(self, run, stored, tmp_path):
        """With a run id, which does not depend on the file's times."""
        file = tmp_path / "bad.ndjson"
        file.write_bytes(lines(100) + b"{broken\n" + lines(100, first=101))
        assert run("publish-file", str(file), "--run-id", "import-1")[0] == 1
        file.write_bytes(lines(201))
        code, answer = run("publish-file", str(file), "--run-id", "import-1")
        assert (code, answer["count"], answer["already_stored"]) == (0, 201, 100)
        assert numbers(stored()) == expected(201)

    def test_standard_input_with_a_run_id(self, run, stored):
        """A second run of the same pipeline stores nothing."""
        for known in (0, SOME):
            code, answer = run("publish-file", "-", "--run-id", "nightly-7", stdin=lines(SOME))
            assert (code, answer["count"], answer["already_stored"]) == (0, SOME, known)
        assert numbers(stored()) == expected(SOME)

    def test_standard_input_again_and_again(self, run, stored):
        """With --again every event is published again."""
        for _ in range(2):
            code, answer = run("publish-file", "-", "--again", stdin=lines(30))
            assert (code, answer["count"], answer["already_stored"]) == (0, 30, 0)
        assert len(stored()) == 60

    @pytest.mark.parametrize("as_json", in_depth({"json": True, "people": False}, quick=["people"]))
    def test_interrupted_it_says_how_many_are_stored(self, start, run, redis, stored, tmp_path, as_json):
        """And that is so: exit code 1, and the same command goes on from there."""
        file = tmp_path / "long.ndjson"
        file.write_bytes(lines(MANY))
        process = start("publish-file", str(file), *(["--json"] if as_json else []))
        wait_for_entries(redis, entries(redis) + TWO_FLUSHES, process)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
        assert process.returncode == 1
        if as_json:
            error = json.loads(stdout)["error"]
            assert error["type"] == "Interrupted"
            count = error["stored"]
        else:
            [error_text] = re.findall(r"([0-9,]+) events are stored", stderr.decode())
            count = int(error_text.replace(",", ""))
        assert 0 < count < MANY
        code, answer = run("publish-file", str(file))
        assert (code, answer["already_stored"]) == (0, count)
        assert numbers(stored()) == expected(MANY)

    def test_interrupted_while_it_waits_for_a_line(self, start, redis):
        """What came before is stored."""
        process = start("publish-file", "-", "--again", "--json", stdin=subprocess.PIPE)
        process.stdin.write(lines(SOME))
        process.stdin.flush()
        wait_for_entries(redis, 0, process)
        wait_until_it_waits_for_input(process)
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert json.loads(stdout)["error"]["stored"] == SOME

    def test_keys_from_a_field(self, run, stored):
        """The events' own identity, wherever they stand in the file."""
        assert run("publish-file", "-", "--key-field", "data.n", stdin=lines(24))[0] == 0
        code, answer = run(
            "publish-file", "-", "--key-field", "data.n", stdin=lines(12, first=12) + lines(12, first=24)
        )
        assert (code, answer["already_stored"]) == (0, 12)
        events = stored()
        assert len(events) == 36
        assert {event["message_id"] for event in events} == {str(n) for n in range(36)}

    def test_standard_input_is_streamed(self, start, redis):
        """Events are stored while more of them are still to come."""
        process = start("publish-file", "-", "--run-id", "stream", stdin=subprocess.PIPE)
        process.stdin.write(lines(SOME))
        process.stdin.flush()
        wait_for_entries(redis, 0, process)
        assert process.poll() is None
        stdout, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
        assert b"2,500" in stdout

    def test_an_empty_file_is_done(self, run, tmp_path):
        """Nothing to do is not an error."""
        file = tmp_path / "empty.ndjson"
        file.touch()
        code, answer = run("publish-file", str(file))
        assert (code, answer["count"]) == (0, 0)

    def test_a_terminal_gets_a_progress_bar(self, start, tmp_path):
        """On stderr, so that stdout stays what it is."""
        file = tmp_path / "long.ndjson"
        file.write_bytes(lines(SOME))
        controller, terminal = pty.openpty()
        process = start("publish-file", str(file), stderr=terminal)
        os.close(terminal)
        shown = b""
        while b"stored" not in shown:
            try:
                shown += os.read(controller, 65536)
            except OSError:  # its last writer is gone
                break
        stdout, _ = process.communicate(timeout=60)
        os.close(controller)
        assert b"stored" in shown
        assert "━".encode() in shown
        assert stdout.decode().startswith("Stored 2,500 events")
