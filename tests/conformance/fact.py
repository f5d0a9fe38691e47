"""A fact: one sentence about a server, the test that observes it, and the promise that rests on it.

The test returns what it observed, as JSON values. `conftest.py` compares that with what `facts-5.2.0.json` has, so a
fact is never merely "passed": a new release that answers otherwise is shown with both answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

__all__ = ["FACTS", "Fact", "Promise", "fact", "fact_of"]

Test = TypeVar("Test", bound=Callable[..., Any])


class Promise(Enum):
    """What rests on a fact: text, and the page of docs/ that makes the promise."""

    ONCE = ("each event once", "reliability.md")
    ORDER = ("in order", "reliability.md")
    KEPT = ("nothing lost", "reliability.md")
    OUTCOME = ("the outcome of each answer", "outcomes.md")
    CHECKED = ("bad input is refused by the caller", "publishing.md")
    ACCESS = ("who may subscribe", "client.md")
    CLIENT = ("the calls of the client", "client.md")
    WEBHOOK = ("webhooks are verified", "client.md")
    DOCTOR = ("doctor and canaries find wrong settings", "reliability.md")
    DEVSERVER = ("applications can be tried on the embedded server", "cli.md")

    @property
    def link(self) -> str:
        """In Markdown, from a page in docs/."""
        text, page = self.value
        return f"[{text}]({page})"


@dataclass(frozen=True)
class Fact:
    """`id` is `area.what`; `source` is the heading of docs/server.md that has the details, by its anchor."""

    id: str
    sentence: str
    promise: Promise
    source: str
    #: Runs in `make test` too, against the server that is there.
    is_quick: bool = False
    #: Protocol 2 is the real server's alone.
    is_real_only: bool = False

    @property
    def area(self) -> str:
        return self.id.partition(".")[0]


#: Every fact whose module is imported, by its id.
FACTS: dict[str, Fact] = {}

#: The attribute of a test that is a fact.
ATTRIBUTE = "__conformance_fact__"


def fact(
    id: str,
    sentence: str,
    *,
    promise: Promise,
    source: str,
    quick: bool = False,
    real_only: bool = False,
) -> Callable[[Test], Test]:
    """Make a test function a fact. It returns what it observed."""

    def mark(test: Test) -> Test:
        known = FACTS.get(id)
        made = Fact(id, sentence, promise, source, quick, real_only)
        if known is not None and known != made:
            raise ValueError(f"{id}: two facts have this id")
        FACTS[id] = made
        setattr(test, ATTRIBUTE, made)
        return test

    return mark


def fact_of(test: object) -> Fact | None:
    """The fact of a test function, `None` for any other test."""
    return getattr(test, ATTRIBUTE, None)
