"""``publish-file`` with CSV, gzip and ``--dry-run``, and a second run that begins where the first one stopped."""

from __future__ import annotations

import gzip
import json
import os

import pytest
import redis as redis_py

from tests.support.cases import in_depth

from .test_cli_publish import MANY, SOME, TWO_FLUSHES, entries, expected, lines, numbers, wait_for_entries

pytestmark = pytest.mark.integration

CSV = ("--csv", "--channel", "user-{user_id}", "--event", "score")


def rows(count: int, first: int = 0) -> bytes:
    return b"".join(b"%d,%d\n" % (n % 3, n) for n in range(first, first + count))


def lookups(redis) -> int:
    """How many appends of keyed events Redis has run."""
    with redis_py.Redis.from_url(redis.url) as client:
        stats = client.info("commandstats")
    return sum(stats.get(name, {"calls": 0})["calls"] for name in ("cmdstat_evalsha", "cmdstat_eval"))


def test_rows_of_a_csv_are_stored_in_order(run, stored, tmp_path):
    """The summary counts events and channels; a second run stores nothing."""
    file = tmp_path / "scores.csv.gz"
    file.write_bytes(gzip.compress(b"user_id,points\n" + rows(SOME)))
    code, answer = run("publish-file", str(file), *CSV)
    assert (code, answer["count"], answer["channels"], answer["already_stored"]) == (0, SOME, 3, 0)
    code, answer = run("publish-file", str(file), *CSV)
    assert (code, answer["count"], answer["already_stored"], answer["lines"]) == (0, SOME, SOME, SOME + 1)
    found = stored()
    assert {event["name"] for event in found} == {"score"}
    points = {user: [] for user in ("user-0", "user-1", "user-2")}
    for event in found:
        points[event["channel"]].append(int(json.loads(event["data"])["points"]))
    assert points == {f"user-{n}": list(range(n, SOME, 3)) for n in range(3)}


def test_another_template_makes_other_events(run, stored, tmp_path):
    """Of the same file."""
    file = tmp_path / "scores.csv"
    file.write_bytes(b"user_id,points\n1,2\n")
    for event in ("score", "points"):
        code, answer = run("publish-file", str(file), "--csv", "--channel", "user-{user_id}", "--event", event)
        assert (code, answer["already_stored"]) == (0, 0)
    assert [event["name"] for event in stored()] == ["score", "points"]


def test_gzip_from_standard_input(run, stored):
    """By its first bytes: a pipe has no name."""
    code, answer = run("publish-file", "-", "--run-id", "r", stdin=gzip.compress(lines(100)))
    assert (code, answer["count"]) == (0, 100)
    assert numbers(stored()) == expected(100)


def test_a_template_without_its_column_stores_nothing(run, stored, tmp_path):
    """Exit code 2: wrong arguments."""
    file = tmp_path / "scores.csv"
    file.write_bytes(b"user,points\n" + rows(10))
    code, answer = run("publish-file", str(file), *CSV)
    assert (code, answer["error"]["message"]) == (
        2,
        "--channel: no column 'user_id' in the file; its columns are user, points",
    )
    assert stored() == []


def test_a_bad_row_ends_the_run_at_its_line(run, stored, tmp_path):
    """What is before it is stored."""
    file = tmp_path / "scores.csv"
    file.write_bytes(b"user_id,points\n" + rows(30) + b",5\n" + rows(5))
    code, answer = run("publish-file", str(file), *CSV)
    assert (code, answer["error"]["line"], answer["error"]["stored"]) == (1, 32, 30)
    assert answer["error"]["message"].startswith("line 32: column user_id: empty, and --channel needs it")
    assert len(stored()) == 30


@pytest.mark.parametrize("is_gzip", in_depth({"plain": False, "gzip": True}, quick=["gzip"]))
def test_a_second_run_begins_where_the_first_stopped(start, run, redis, stored, tmp_path, is_gzip):
    """It sends what is left, not what is stored; and all is stored once, in order."""
    file = tmp_path / "long.ndjson"
    file.write_bytes(gzip.compress(lines(MANY)) if is_gzip else lines(MANY))
    process = start("publish-file", str(file))
    wait_for_entries(redis, entries(redis) + TWO_FLUSHES, process)
    process.kill()
    process.wait()
    code, answer = run("publish-file", str(file))
    assert (code, answer["count"], answer["lines"]) == (0, MANY, MANY)
    assert 0 < answer["skipped"] <= answer["already_stored"] < MANY
    before = lookups(redis)
    code, answer = run("publish-file", str(file))
    assert (code, answer["count"], answer["already_stored"], answer["skipped"]) == (0, MANY, MANY, MANY)
    assert lookups(redis) == before, "nothing was asked again"
    assert numbers(stored()) == expected(MANY)


def test_a_touched_file_is_read_from_its_beginning(run, stored, tmp_path):
    """Another line in the same size and with the same times is found by its key."""
    file = tmp_path / "events.ndjson"
    file.write_bytes(lines(9))
    found = file.stat()
    assert run("publish-file", str(file))[0] == 0
    file.write_bytes(lines(9).replace(b'"n":0', b'"n":7'))
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    code, answer = run("publish-file", str(file))
    assert (code, answer["skipped"], answer["already_stored"]) == (0, 0, 8)
    assert len(stored()) == 10


@pytest.mark.parametrize("record", ["nonsense", "[1]", "[-1,0,0]", "[true,1,1]", None], ids=str)
def test_an_unreadable_position_is_not_used(run, redis, stored, tmp_path, record):
    """The keys know what is stored."""
    file = tmp_path / "events.ndjson"
    file.write_bytes(lines(20))
    run("publish-file", str(file))
    with redis_py.Redis.from_url(redis.url) as client:
        [key] = client.keys("*:position:*")
        assert client.pttl(key) > 0
        client.delete(key)
        if record is None:
            client.rpush(key, "a list")
        else:
            client.set(key, record)
    code, answer = run("publish-file", str(file))
    assert (code, answer["skipped"], answer["already_stored"]) == (0, 0, 20)
    assert len(stored()) == 20


def test_again_reads_everything_again(run, stored, tmp_path):
    """It has no use for a position."""
    file = tmp_path / "events.ndjson"
    file.write_bytes(lines(20))
    for args in ((), ("--again",)):
        code, answer = run("publish-file", str(file), *args)
        assert (code, answer["already_stored"], answer["skipped"]) == (0, 0, 0)
    assert len(stored()) == 40


class TestDryRun:
    def test_everything_is_checked_and_nothing_stored(self, run, redis, environ, stored, tmp_path):
        """Redis is not asked: another run finds a file that it has never seen."""
        file = tmp_path / "events.ndjson"
        file.write_bytes(lines(SOME))
        environ["SOCKUDO_REDIS_URL"], reachable = "redis://127.0.0.1:1/0", environ["SOCKUDO_REDIS_URL"]
        code, answer = run("publish-file", str(file), "--dry-run")
        assert (code, answer["count"], answer["channels"], answer["dry_run"]) == (0, SOME, 12, True)
        environ["SOCKUDO_REDIS_URL"] = reachable
        assert stored() == []
        assert run("publish-file", str(file))[1]["already_stored"] == 0

    @pytest.mark.parametrize(
        "line",
        [
            b"{broken\n",
            b'{"channel":"no spaces","name":"e","data":1}\n',
            b'{"channel":"c","name":"e","data":"%s"}\n' % (b"x" * 10_241),
        ],
        ids=["not json", "channel", "too large"],
    )
    def test_a_bad_line_is_named(self, run, stored, tmp_path, line):
        """Also behind the first flush; nothing before it is stored."""
        file = tmp_path / "events.ndjson"
        file.write_bytes(lines(2500) + b"\n" + line + lines(5))
        code, answer = run("publish-file", str(file), "--dry-run")
        assert (code, answer["error"]["line"], answer["error"]["stored"]) == (1, 2502, 0)
        assert "Nothing is stored" in answer["error"]["message"]
        assert stored() == []

    def test_standard_input_needs_no_keys(self, run):
        """A second run can repeat nothing."""
        assert run("publish-file", "-", "--dry-run", stdin=lines(7))[1]["count"] == 7
