"""The planted bugs (`make mutants`): the tables fit the code, and the runner plants in its copy alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.mutants import GROUPS, Mutant
from scripts.mutants.__main__ import ROOT, Misfit, Workshop, changed, main, read_tables

pytestmark = pytest.mark.unit

FILE = "sockudo_publisher/delivery/window.py"
MUTANT = Mutant("m", "why", FILE, "MARGIN_S: Final = 5.0", "MARGIN_S: Final = 6.0", ("-c", "pass"))
PRINTS = (
    "-c",
    "import sys; from sockudo_publisher.delivery import window as w; print(w.MARGIN_S); sys.exit(w.MARGIN_S > 5)",
)


def test_every_table_fits_the_code() -> None:
    """Each old text is there exactly once, each name is used once, ten breakages of the delivery at least."""
    assert len(read_tables(GROUPS)) >= 10


@pytest.mark.parametrize("text", ["", "ab ab"], ids=["not there", "twice"])
def test_text_that_is_not_there_once_is_an_error(text: str) -> None:
    """A table that no longer fits must not pass for a bug that was found."""
    with pytest.raises(Misfit, match="times, not once"):
        changed(Mutant("m", "why", FILE, "ab", "c", ()), text)


def test_change_that_changes_nothing_is_an_error() -> None:
    """Its test would pass for another reason."""
    with pytest.raises(Misfit, match="nothing is changed"):
        changed(Mutant("m", "why", FILE, "ab", "ab", ()), "ab")


def test_unknown_table_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and which there are."""
    assert main(["no_such_table"]) == 2
    assert "delivery" in capsys.readouterr().err


def test_bug_is_planted_in_the_copy_alone(tmp_path: Path) -> None:
    """The command sees it and turns red; the copy is as it was afterwards, and so is the checkout, always."""
    before = (ROOT / FILE).read_text()
    workshop = Workshop(tmp_path)
    assert workshop.run(PRINTS, 60.0)[::2] == (0, "5.0")
    found = workshop.plant(Mutant(**{**MUTANT.__dict__, "test": PRINTS}))
    assert (found.is_found, found.last_line) == (True, "6.0")
    assert (tmp_path / FILE).read_text() == (ROOT / FILE).read_text() == before


@pytest.mark.parametrize(
    ("test", "limit_s", "code"),
    [(("-c", "pass"), 60.0, 0), (("-c", "import sys; sys.exit(2)"), 60.0, 2), (("-c", "while True: pass"), 0.5, None)],
    ids=["passes", "ends otherwise", "is too slow"],
)
def test_test_that_does_not_turn_red_in_time_has_not_found_it(
    tmp_path: Path, test: tuple[str, ...], limit_s: float, code: int | None
) -> None:
    """Neither a pass, nor a command that could not run, nor one that never ends."""
    found = Workshop(tmp_path).plant(Mutant(**{**MUTANT.__dict__, "test": test, "limit_s": limit_s}))
    assert (found.is_found, found.code) == (False, code)
