"""Text for people: colours on a terminal, plain text elsewhere, and a status line."""

from __future__ import annotations

import io

import pytest

from sockudo_publisher.cli.table import render_table
from sockudo_publisher.terminal import Terminal, plain, visible

pytestmark = pytest.mark.unit


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return Screen()


def terminal_on(file: io.StringIO, *, is_quiet: bool = False) -> Terminal:
    terminal = Terminal(is_quiet=is_quiet)
    terminal.file = file
    return terminal


@pytest.mark.parametrize(
    ("text", "shown", "seen"),
    [
        ("[bold]a[/] b", "\x1b[1ma\x1b[0m b", "a b"),
        ("[bold red]a[/]: [dim]b", "\x1b[31m\x1b[1ma\x1b[0m: \x1b[2mb\x1b[0m", "a: b"),
        ("[nothing] [/x] []", "[nothing] [/x] []", "[nothing] [/x] []"),
        (plain("[bold]x[/]"), "[bold]x[/]", "[bold]x[/]"),
        (f"[green]{plain('[/][red]')}[/]!", "\x1b[32m[/][red]\x1b[0m!", "[/][red]!"),
    ],
)
def test_marks_become_colours(screen: Screen, text: str, shown: str, seen: str) -> None:
    """On a terminal; a file gets the text, and what a server wrote is no mark."""
    terminal_on(screen).print(text)
    assert screen.getvalue() == shown + "\n"
    terminal_on(file := io.StringIO()).print(text)
    assert file.getvalue() == seen + "\n" == visible(text) + "\n"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_switched_off(screen: Screen, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """By the usual variables."""
    monkeypatch.setenv(name, value)
    terminal_on(screen).print("[red]a[/]")
    assert screen.getvalue() == "a\n"


def test_status_line_stays_at_the_end(screen: Screen) -> None:
    """Other text goes above it, and it is gone at the end."""
    terminal = terminal_on(screen)
    with terminal.status("[bold]begun[/]") as status:
        terminal.print("one")
        status.update("second")
    terminal.print("two")
    lines = screen.getvalue().split("\r\x1b[K")
    assert lines == ["", "begun", "one\nbegun", "second", "two\n"]


def test_status_line_needs_a_terminal(screen: Screen) -> None:
    """A log file gets none, and a quiet terminal neither."""
    file = io.StringIO()
    with terminal_on(file).status("begun") as status:
        status.update("more")
    with terminal_on(screen, is_quiet=True).status("begun") as status:
        status.update("more")
    terminal_on(screen, is_quiet=True).print("text")
    assert file.getvalue() == screen.getvalue() == ""


def test_table_is_aligned_by_what_is_seen() -> None:
    """Marks have no width."""
    rows = [["1", "[red]12[/]", "[dim]empty[/]"], ["10", "[bold]3[/]", "draining"], ["all", "15", ""]]
    table = render_table(("lane", "dead", "state"), rows, left=(2,), total=True)
    assert [visible(line) for line in table.splitlines()] == [
        "lane  dead  state",
        "────  ────  ────────",
        "   1    12  empty",
        "  10     3  draining",
        "────  ────  ────────",
        " all    15",
    ]
