"""The page that Prometheus reads: the metrics of this process, or with the multiprocess mode those of all. Extra
``metrics``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from .prometheus import OBSERVER

__all__ = ["MULTIPROCESS", "MetricsPage"]

#: The variable by which prometheus_client's multiprocess mode is switched on: a directory of files.
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"


class _Collects(Protocol):
    def collect(self) -> Iterable[Any]: ...


class _Through(Collector):
    """A collector of what another one, or a whole registry, collects. Not asked when it is registered."""

    def __init__(self, source: _Collects) -> None:
        self._source = source

    def describe(self) -> Iterator[Any]:
        return iter(())

    def collect(self) -> Iterator[Any]:
        yield from self._source.collect()


class MetricsPage:
    """Renders the page. ``more``: collectors beside the counters."""

    def __init__(self, more: Iterable[_Collects] = ()) -> None:
        self._registry = CollectorRegistry()
        if os.environ.get(MULTIPROCESS):
            MultiProcessCollector(self._registry)  # type: ignore[no-untyped-call]
        else:
            self._registry.register(_Through(REGISTRY))
        for collector in more:
            self._registry.register(_Through(collector))

    def render(self, accept: str = "") -> tuple[str, bytes]:
        """The content type and the page, in the format that the header ``Accept`` asks for."""
        OBSERVER.flush()
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self._registry)
