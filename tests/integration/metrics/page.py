"""The page of a program, read as Prometheus reads it."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from sockudo_publisher.dev.embedded.process import wait_for

PREFIX = "sockudo_publisher_"


class Page(NamedTuple):
    """``samples``: by name without prefix and labels; ``took_s``: until it was read."""

    text: str
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]
    took_s: float

    def value(self, name: str, **labels: str) -> float | None:
        """One sample; `app="default"` unless other labels are given."""
        wanted = {"app": "default", **labels}
        return self.samples.get((name, frozenset(wanted.items())))

    def total(self, name: str) -> float:
        """The sum over all labels."""
        return sum(value for (found, _), value in self.samples.items() if found == name)

    def names(self) -> set[str]:
        """Of all of this package's samples."""
        return {name for name, _ in self.samples}


def parse(text: str, took_s: float = 0.0) -> Page:
    samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith(PREFIX) and not sample.name.endswith("_created"):
                key = (sample.name.removeprefix(PREFIX), frozenset(sample.labels.items()))
                assert key not in samples, f"twice on the page: {key}"
                samples[key] = sample.value
    return Page(text, samples, took_s)


def scrape(port: int, timeout_s: float = 10.0) -> Page:
    began = time.monotonic()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=timeout_s) as answer:
        assert answer.status == 200
        text = answer.read().decode()
    return parse(text, time.monotonic() - began)


def wait_for_page(port: int, check: Callable[[Page], None], timeout_s: float = 30.0) -> Page:
    """The first page that passes a check, which asserts.

    What a page shows of one event may be of two moments: a process writes its series one after another, and a scrape
    may come between. So what belongs together is waited for together.
    """
    pages: list[Page] = []
    failures: list[Exception] = []

    def passes() -> bool:
        try:
            page = scrape(port)
            check(page)
        except (AssertionError, urllib.error.URLError, ConnectionError) as error:
            failures[:] = [error]
            return False
        pages[:] = [page]
        return True

    if not wait_for(passes, timeout_s, 0.2):
        raise failures[0]
    return pages[0]


def wait_for_value(port: int, name: str, wanted: float, timeout_s: float = 30.0, **labels: str) -> Page:
    """The first page on which a sample has this value; other samples may lag: :func:`wait_for_page`."""

    def has_it(page: Page) -> None:
        found = page.value(name, **labels)
        assert found == wanted, f"{name}{labels}: {found}, wanted {wanted}"

    return wait_for_page(port, has_it, timeout_s)
