"""`make conformance` as a program: when it fails, and what it may write. No server is started here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance import __main__ as program
from tests.conformance import record
from tests.conformance.record import RECORDED_RELEASE, Verdict

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def observed(monkeypatch):
    """The targets that were observed; each run succeeds with no fact."""
    targets = []

    def observe(target, _options):
        targets.append(target)
        return program.Run(0, {})

    monkeypatch.setattr(program, "observe", observe)
    for name in ("CI", "WITHOUT_SOCKUDO", "SOCKUDO_BIN"):
        monkeypatch.delenv(name, raising=False)
    return targets


@pytest.fixture
def absent(monkeypatch):
    """No real server on this machine."""
    monkeypatch.setattr(program, "find_sockudo", lambda: None)


@pytest.mark.parametrize(
    ("environ", "code"), [({}, 0), ({"CI": "true"}, 1), ({"CI": "true", "WITHOUT_SOCKUDO": "1"}, 0)]
)
def test_real_server_is_missed_in_ci(absent, observed, monkeypatch, capsys, environ, code):
    """Elsewhere its absence is printed."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert program.main(["-k", "one"]) == code
    assert observed == ["embedded"]
    output = capsys.readouterr()
    assert "no real Sockudo" in output.out
    assert ("CI needs the real server" in output.err) == bool(code)


def test_both_servers_are_observed(monkeypatch, observed):
    """The real one first."""
    monkeypatch.setattr(program, "real_server", lambda: (RECORDED_RELEASE, ""))
    assert program.main(["-k", "one"]) == 0
    assert observed == ["real", "embedded"]


def test_changed_fact_of_another_release_fails(monkeypatch):
    """The page is not written then."""
    monkeypatch.setattr(program, "real_server", lambda: ("9.9.9", ""))
    monkeypatch.setattr(program, "observe", lambda target, _: program.Run(int(target == "real"), {}))
    before = program.PAGE.read_text()
    assert program.main([]) == 1
    assert program.PAGE.read_text() == before


@pytest.mark.parametrize("release", ["9.9.9", ""])
def test_record_of_another_release_is_refused(monkeypatch, observed, capsys, release):
    """The file is that of one release."""
    monkeypatch.setattr(program, "real_server", lambda: (release, "absent" * (not release)))
    with pytest.raises(SystemExit):
        program.main(["--record"])
    assert observed == []
    assert RECORDED_RELEASE in capsys.readouterr().err


def test_record_is_written_from_the_real_server_alone(monkeypatch, tmp_path: Path):
    """What was skipped is not in it."""
    monkeypatch.setattr(record, "FILE", tmp_path / "facts.json")
    monkeypatch.setattr(program, "real_server", lambda: (RECORDED_RELEASE, ""))
    verdicts = {"a.b": Verdict("a.b", "new", {"x": "ü"}), "a.c": Verdict("a.c", "skipped")}
    monkeypatch.setattr(program, "observe", lambda *_: program.Run(0, verdicts))
    assert program.main(["--target=embedded", "--record"]) == 0
    assert not record.FILE.exists()
    assert program.main(["--target=real", "--record"]) == 0
    assert record.load_recorded() == {"a.b": {"x": "ü"}}


def test_page_out_of_date_fails_a_check(monkeypatch, capsys):
    """And prints what differs."""
    program.import_facts()
    failures = program.settle_page(program.Run(0, {}), write=False)
    assert len(failures) == 1
    assert "make conformance" in failures[0]
    assert "+++ this run" in capsys.readouterr().err


def test_listed_difference_that_is_none_fails(monkeypatch):
    """So that the table cannot grow old."""
    monkeypatch.setattr(program, "DIFFERENCES", {"a.b": "one reason", "a.*": "another"})
    run = program.Run(0, {"a.b": Verdict("a.b", "differs", 1, "one reason"), "a.c": Verdict("a.c", "same", 1)})
    assert [failure.partition(":")[0] for failure in program.unseen_differences(run)] == ["a.*"]
