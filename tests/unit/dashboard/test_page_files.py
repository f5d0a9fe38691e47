"""The page's files: all are served and shipped, none needs what its policy forbids."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sockudo_publisher.dashboard import application
from sockudo_publisher.dashboard.guard import _HEADERS
from sockudo_publisher.dashboard.views import ENDED_BY

pytestmark = pytest.mark.unit

PACKAGE = Path(application.__file__).parent
PAGE = PACKAGE / "page"
SCRIPTS = sorted(PAGE.glob("*.js"))
PAGES = sorted(PAGE.glob("*.html"))


def test_every_file_is_served() -> None:
    """Except the two pages, which have paths of their own."""
    assert {one.name for one in PAGE.iterdir()} == {*application._FILES, "index.html", "login.html"}


@pytest.mark.parametrize("page", PAGES, ids=lambda one: one.name)
def test_page_has_no_inline_code_and_no_foreign_source(page: Path) -> None:
    """The policy would refuse it."""
    text = page.read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|https?:", text)
    assert re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL) in ([], [""])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda one: one.name)
def test_script_makes_text_nodes_only(script: Path) -> None:
    """No function that reads markup, none that reads code."""
    text = script.read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|srcdoc", text
    )
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)


def test_policy_allows_nothing_inline() -> None:
    policy = _HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy


def test_every_id_of_the_scripts_is_in_the_page() -> None:
    ids = set(re.findall(r'\sid="([\w-]+)"', (PAGE / "index.html").read_text()))
    used = {name for script in SCRIPTS for name in re.findall(r'byId\("([\w-]+)"\)', script.read_text())}
    assert used
    assert used <= ids


def test_every_field_has_a_label() -> None:
    """For screen readers."""
    text = (PAGE / "index.html").read_text() + (PAGE / "login.html").read_text()
    labelled = set(re.findall(r'<label for="([\w-]+)"', text))
    for tag in re.findall(r"<(?:input|select)[^>]*>", text):
        id = re.search(r'id="([\w-]+)"', tag)
        wrapped = re.search(rf"<label[^>]*>[^<]*{re.escape(tag)}", text)
        assert "aria-label=" in tag or wrapped or (id and id[1] in labelled), tag


def test_counters_of_ended_events_are_the_journals() -> None:
    """Every reason of a dead letter is among them: the rate of stored events depends on it."""
    from sockudo_publisher.operations.letter_filter import REASONS

    assert {*REASONS} - {"uncertain"} <= {*ENDED_BY}
    assert "parked_uncertain" in ENDED_BY
