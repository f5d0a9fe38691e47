"""The facts in the code, their record and docs/server-facts.md agree; and how an observation is judged."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import record
from tests.conformance.differences import DIFFERENCES
from tests.conformance.fact import FACTS, Promise, fact
from tests.conformance.http import Address, Answer
from tests.conformance.page import AREAS, PAGE, columns, import_facts, render
from tests.conformance.record import Verdict, judge, load_recorded
from tests.conformance.values import normalize, shown, value_diff

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module", autouse=True)
def facts():
    return import_facts()


def test_page_lists_exactly_the_facts_in_the_code():
    """`make conformance` writes it."""
    assert set(columns(PAGE.read_text())) == set(FACTS)


def test_page_says_of_each_fact_what_the_code_says():
    """Sentence, source and promise; and of the real server what is recorded."""
    rows, made = columns(PAGE.read_text()), columns(render(load_recorded(), {}))
    for fact_id in FACTS:
        assert [rows[fact_id][n] for n in (0, 1, 3)] == [made[fact_id][n] for n in (0, 1, 3)], fact_id


def test_record_has_exactly_the_facts_in_the_code():
    """`make conformance ARGS=--record` writes it."""
    assert set(load_recorded()) == set(FACTS)


def test_record_has_nothing_that_differs_between_runs():
    """No address, no unique text, no time."""
    text = record.FILE.read_text()
    assert re.findall(r"t-[0-9a-f]{12}|127\.0\.0\.1|\b1[6-9]\d{11}\b", text) == []


def test_every_difference_names_facts():
    """By id or pattern."""
    import fnmatch

    assert [one for one in DIFFERENCES if not fnmatch.filter(FACTS, one)] == []
    assert all(len(reason) > 15 for reason in DIFFERENCES.values())


def test_page_has_every_difference_with_its_reason():
    """No reason of a run is missing."""
    page = PAGE.read_text()
    assert "without a reason" not in page
    rows = columns(page)
    reasons = page.partition("## Differences")[2]
    assert [one for one, cells in rows.items() if cells[2] != "same" and f"`{one}`" not in reasons] == []


def test_every_source_is_a_heading_of_the_servers_page():
    """By its anchor."""
    headings = re.findall(r"^#+ (.+?)\s*$", (DOCS / "server.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert {one.id: one.source for one in FACTS.values() if one.source not in anchors} == {}


def test_every_area_is_on_the_page():
    """In the order of the table."""
    assert {one.area for one in FACTS.values()} == set(AREAS)


def test_promises_link_to_pages():
    """Of this documentation."""
    assert [one for one in Promise if not (DOCS / one.value[1]).is_file()] == []


def test_areas_of_the_issue_have_facts():
    """None was left out: some facts of each, and one quick at least where protocol 7 has it."""
    counts = {area: sum(one.area == area for one in FACTS.values()) for area in AREAS}
    assert len(FACTS) > 120
    assert min(counts.values()) >= 1
    assert sum(one.is_quick for one in FACTS.values()) >= 20


def test_id_of_two_facts_is_refused():
    """A record would have one of them."""
    first = next(iter(FACTS.values()))
    with pytest.raises(ValueError, match="two facts have this id"):
        fact(first.id, "another sentence", promise=first.promise, source=first.source)(lambda: None)


JUDGED = {
    "the same": ({"a": 1}, {"a": 1}, False, "same"),
    "another value": ({"a": 1}, {"a": 2}, False, "changed"),
    "a listed difference": ({"a": 1}, {"a": 2}, True, "differs"),
    "a listed difference of the real server": ({"a": 1}, {"a": 2}, False, "changed"),
    "a listed difference that is none": ({"a": 1}, {"a": 1}, True, "same"),
}


@pytest.mark.parametrize(("recorded", "observed", "is_embedded", "state"), JUDGED.values(), ids=JUDGED)
def test_observation_is_judged(monkeypatch, recorded, observed, is_embedded, state):
    """Only the embedded server may differ, and only where it is listed."""
    monkeypatch.setattr(record, "DIFFERENCES", {"area.li*": "its reason"})
    verdict = judge("area.listed", observed, {"area.listed": recorded}, is_embedded=is_embedded)
    assert verdict.state == state
    assert verdict.is_good == (state != "changed")
    assert verdict.reason == ("its reason" if state == "differs" else "")


def test_unlisted_difference_of_the_embedded_server_is_a_change(monkeypatch):
    """It fails."""
    monkeypatch.setattr(record, "DIFFERENCES", {})
    assert judge("a.b", 1, {"a.b": 2}, is_embedded=True).state == "changed"


def test_fact_without_a_record_is_new():
    """It neither passes nor counts as a change."""
    verdict = judge("a.b", 1, {}, is_embedded=False)
    assert (verdict.state, verdict.is_good) == ("new", False)


DIFFS: dict[str, tuple[Any, Any, list[str]]] = {
    "nothing": ({"a": 1}, {"a": 1}, []),
    "one of two": ({"a": "x", "b": 1}, {"a": "y", "b": 1}, ["- a: x", "+ a: y"]),
    "gone": ({"a": 1, "b": 2}, {"a": 1}, ["- b: 2"]),
    "added": ({"a": 1}, {"a": 1, "b": []}, ["+ b: []"]),
    "text": ("200", "503", ["- 200", "+ 503"]),
    "another kind": ({"a": 1}, "500", ["- a: 1", "+ 500"]),
}


@pytest.mark.parametrize(("recorded", "observed", "lines"), DIFFS.values(), ids=DIFFS)
def test_diff_names_what_changed(recorded, observed, lines):
    """And no more."""
    assert value_diff(recorded, observed) == lines


def test_value_is_the_same_in_every_run():
    """What is unique is named, wherever it stands; tuples and sets of keys are as JSON has them."""
    value = {"b": ("t-1", f"x{'t-12'}y"), "a": {"t-1": None}}
    assert normalize(value, {"t-1": "NAME", "t-12": "OTHER"}) == {"a": {"NAME": None}, "b": ["NAME", "xOTHERy"]}
    assert list(normalize(value, {})) == ["a", "b"]


def test_value_is_shown_for_people():
    """Without quotes where nothing is unclear."""
    assert shown({"a": "x", "b": ["1", "2"], "c": [1], "d": None, "e": ""}) == 'a: x; b: 1, 2; c: [1]; d: null; e: ""'


def answer(status: int, media_type: str, body: Any) -> Answer:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {"content-type": media_type} if media_type else {}, text)


ANSWERS = {
    "error": (answer(400, "application/json", {"error": "x: y", "code": "c", "status": 400}), "400 c: x: y", "400 c"),
    "success": (answer(200, "application/json", {"ok": True}), '200 {"ok":true}', "200"),
    "no code": (answer(429, "application/json", {"error": "x"}), '429 {"error":"x"}', '429 {"error"'),
    "text": (answer(404, "text/plain; charset=utf-8", b"gone"), "404 text/plain: gone", "404 text/plain"),
    "no body": (answer(405, "", b""), "405 without a body", "405 without a body"),
}


@pytest.mark.parametrize(("given", "line", "code"), ANSWERS.values(), ids=ANSWERS)
def test_answer_in_one_line(given, line, code):
    """Status, code, text."""
    assert (given.line, given.code) == (line, code)


def test_target_is_read_from_a_url():
    """With its escapes; a secret is in no message."""
    address, app = Address.of("https://k%3A:s%2F@example.test/apps/a%20b")
    assert (address.host, address.port, address.is_tls) == ("example.test", 443, True)
    assert (app.id, app.key, app.secret) == ("a b", "k:", "s/")
    for wrong in (
        "example.test",
        "http://example.test/apps/a",
        "http://k:secret@example.test/a",
        "ftp://k:secret@h/apps/a",
    ):
        with pytest.raises(ValueError, match="target") as caught:
            Address.of(wrong)
        assert "secret" not in str(caught.value)


def test_page_shows_differences_by_reason(monkeypatch):
    """A value that differs, a feature that is not there, and agreement."""
    ids = sorted(FACTS)[:3]
    recorded = {one: {"status": 200} for one in ids}
    verdicts = {
        ids[0]: Verdict(ids[0], "same", {"status": 200}),
        ids[1]: Verdict(ids[1], "differs", {"status": 501}, "it has none", ("- status: 200", "+ status: 501")),
        ids[2]: Verdict(ids[2], "skipped", reason="protocol 7 alone"),
    }
    page = render(recorded, verdicts)
    assert [columns(page)[one][2] for one in ids] == ["same", "`status: 501`", "\u2013"]
    assert f"| it has none | `{ids[1]}` |" in page
    assert f"| protocol 7 alone | `{ids[2]}` |" in page
