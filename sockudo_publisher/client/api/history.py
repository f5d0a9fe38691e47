"""A channel's history: pages of it, all of it, its state, and its end.

A class of :class:`Calls`. The server keeps history only where its configuration enables it
(``[history]``, per app and namespace); elsewhere every call here raises ``SockudoHTTPError`` 422 ``feature_disabled``.
Facts: docs/server.md, 1.7 and 13; docs/sdks.md, F24.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Literal, TypeVar, cast

from ...errors import SockudoError, ValidationError
from ...redaction.frame_locals import without_locals
from ..http.calls import Calls
from ..http.retries import CLIENTS, CallRetries
from ..wire.limits import check_channel
from ..wire.parameters import (
    MAX_TEXT_BYTES,
    Direction,
    channel_path,
    checked_cursor,
    checked_direction,
    checked_limit,
    checked_serial,
    checked_text,
    checked_time_ms,
    json_body,
    refuse_reversed,
    without_none,
)
from .answers import HistoryItem, HistoryPage, HistoryPurge, HistoryReset, HistoryStateAnswer

__all__ = ["ITEMS", "STREAM", "History", "PagedItems", "every_item", "page_query", "reset_body"]

#: What a page cannot lack, and the state of a stream.
ITEMS = ("items", list)
STREAM = ("stream", dict)
#: Pages without an item, one after the other, that an iteration bears: stores that filter may give some.
MAX_EMPTY_PAGES = 1000


class History(Calls):
    """``channel_history`` and its iterator, ``history_state``, ``reset_history`` and ``purge_history``.

    ``retries``: as of the client, for this call; of an iterator, for each page. Queries are repeated even
    if the result of an attempt is unknown; a reset or purge only if it was certainly not sent, because a repeat would
    also delete the events published since.
    """

    def channel_history(
        self,
        channel: str,
        *,
        limit: int | None = None,
        direction: Direction | None = None,
        cursor: str | None = None,
        start_serial: int | str | None = None,
        end_serial: int | str | None = None,
        start_time_ms: int | None = None,
        end_time_ms: int | None = None,
        retries: CallRetries = CLIENTS,
    ) -> HistoryPage:
        """One page of a channel's events, newest first unless ``direction`` is ``"oldest_first"``.

        ``limit``: items of the page, 1 or more; the server's maximum (100) by default and at most, and the
        answer's ``limit`` says what it took. ``start_serial``, ``end_serial``: 0 to 2**64 - 1;
        ``start_time_ms``, ``end_time_ms``: milliseconds since 1970; all inclusive. ``cursor``: the answer's
        ``next_cursor``, which holds only together with the same channel, direction and bounds;
        :meth:`iter_channel_history` repeats them.

        Returns ``{"items": […], "has_more": bool, "next_cursor": str | None, "direction", "limit", "bounds",
        "continuity", "stream_state"}``. Raises ``ValidationError``, and ``BadRequest`` for a cursor that is
        not of this query or whose events are no longer kept.
        """
        query = page_query(limit, direction, cursor, start_serial, end_serial, start_time_ms, end_time_ms)
        return cast(
            HistoryPage,
            self.call("GET", channel_path(channel, "/history"), query=query, retries=retries, expected=ITEMS),
        )

    #: The other Sockudo SDKs' name.
    get_channel_history = channel_history

    def iter_channel_history(
        self,
        channel: str,
        *,
        limit: int | None = None,
        direction: Direction | None = None,
        cursor: str | None = None,
        start_serial: int | str | None = None,
        end_serial: int | str | None = None,
        start_time_ms: int | None = None,
        end_time_ms: int | None = None,
        retries: CallRetries = CLIENTS,
    ) -> Iterator[HistoryItem]:
        """Iterate over every event of a channel; each page is requested when it is needed.

        The arguments are :meth:`channel_history`'s; ``limit`` is that of each page. Direction and bounds go
        with every page. Oldest first, events published meanwhile come too; newest first, they do not.

        Bad arguments raise ``ValidationError`` here, before the first request. While iterating:
        ``BadRequest`` when the next page's events are no longer kept (the history was purged, reset, or
        outlived), ``SockudoError`` when the server's cursors go in a circle.
        """
        path = channel_path(channel, "/history")
        query = page_query(limit, direction, cursor, start_serial, end_serial, start_time_ms, end_time_ms)
        return cast(
            Iterator[HistoryItem],
            every_item(lambda page: self.call("GET", path, query=page, retries=retries, expected=ITEMS), query),
        )

    def history_state(self, channel: str, *, retries: CallRetries = CLIENTS) -> HistoryStateAnswer:
        """What is kept of a channel: ``{"channel": …, "stream": {"next_serial", "retained", "state", …}}``."""
        return cast(
            HistoryStateAnswer,
            self.call("GET", channel_path(channel, "/history/state"), retries=retries, expected=STREAM),
        )

    def reset_history(
        self, channel: str, reason: str, requested_by: str | None = None, *, retries: CallRetries = CLIENTS
    ) -> HistoryReset:
        """Delete a channel's history and begin a new stream, at serial 1. All cursors end.

        ``reason`` and ``requested_by`` (1 to 1,024 bytes) are for the server's log. Returns ``{"ok": True,
        "purged_messages": int, "previous_stream_id", "new_stream_id", "stream", …}``.
        """
        body = reset_body(channel, "reset", reason, requested_by)
        return cast(
            HistoryReset,
            self.call("POST", channel_path(channel, "/history/reset"), body=json_body(body), retries=retries),
        )

    def purge_history(
        self,
        channel: str,
        mode: Literal["all", "before_serial", "before_time_ms"],
        reason: str,
        requested_by: str | None = None,
        *,
        before_serial: int | str | None = None,
        before_time_ms: int | None = None,
        retries: CallRetries = CLIENTS,
    ) -> HistoryPurge:
        """Delete a channel's events, of the same stream: all, or those before a serial or a time.

        ``mode`` says which, and goes with exactly its bound: ``before_serial=`` or ``before_time_ms=``, both
        exclusive; ``"all"`` with none. ``reason`` and ``requested_by`` as with :meth:`reset_history`.
        Returns ``{"ok": True, "purged_messages": int, "purged_bytes": int, "stream", …}``.
        """
        if mode not in ("all", "before_serial", "before_time_ms"):
            raise ValidationError("mode: unknown, expected all, before_serial or before_time_ms")
        bounds = {
            "before_serial": None if before_serial is None else checked_serial("before_serial", before_serial),
            "before_time_ms": None if before_time_ms is None else checked_time_ms("before_time_ms", before_time_ms),
        }
        for name, value in bounds.items():
            if (value is not None) != (mode == name):
                raise ValidationError(f"{name}: {'missing' if mode == name else 'not allowed'} with mode={mode!r}")
        body = {**reset_body(channel, "purge", reason, requested_by), "mode": mode, **bounds}
        return cast(
            HistoryPurge,
            self.call("POST", channel_path(channel, "/history/purge"), body=json_body(body), retries=retries),
        )


def page_query(
    limit: int | None,
    direction: str | None,
    cursor: str | None,
    start_serial: int | str | None,
    end_serial: int | str | None,
    start_time_ms: int | None,
    end_time_ms: int | None,
) -> dict[str, str]:
    """The query of one page, of channel history and presence history alike. Pure."""
    first = None if start_serial is None else checked_serial("start_serial", start_serial)
    last = None if end_serial is None else checked_serial("end_serial", end_serial)
    refuse_reversed("start_serial", first, "end_serial", last)
    begin = None if start_time_ms is None else checked_time_ms("start_time_ms", start_time_ms)
    end = None if end_time_ms is None else checked_time_ms("end_time_ms", end_time_ms)
    refuse_reversed("start_time_ms", begin, "end_time_ms", end)
    given = {
        "limit": None if limit is None else checked_limit(limit),
        "direction": None if direction is None else checked_direction(direction),
        "cursor": None if cursor is None else checked_cursor(cursor),
        "start_serial": first,
        "end_serial": last,
        "start_time_ms": begin,
        "end_time_ms": end,
    }
    return {name: str(value) for name, value in without_none(given).items()}


def reset_body(channel: str, operation: str, reason: str, requested_by: str | None) -> dict[str, Any]:
    """What the server wants to hear twice before it deletes anything. Pure."""
    return {
        "confirm_channel": check_channel(channel),
        "confirm_operation": operation,
        "reason": _reason(reason),
        "requested_by": None if requested_by is None else checked_text("requested_by", requested_by, MAX_TEXT_BYTES),
    }


def _reason(reason: str) -> str:
    text = checked_text("reason", reason, MAX_TEXT_BYTES)
    if not text.strip():
        raise ValidationError("reason: only space, expected words")
    return text


Item = TypeVar("Item")


class PagedItems(Iterator[Item]):
    """The items of all pages; :attr:`pages` gives the rest of them a page at a time, a request each."""

    def __init__(self, pages: Iterator[Sequence[Item]]) -> None:
        self.pages = pages
        self._items = chain.from_iterable(pages)

    def __next__(self) -> Item:
        return next(self._items)


def every_item(
    fetch: Callable[[Mapping[str, str]], Mapping[str, Any]], query: Mapping[str, str]
) -> PagedItems[Mapping[str, Any]]:
    """The items of all pages, each fetched when it is needed, with the first query's direction and bounds.

    Ends with the first page without a ``next_cursor``. Raises ``SockudoError`` when cursors come again, or
    when ``MAX_EMPTY_PAGES`` pages in a row are empty: nothing else bounds what a server may send.
    """
    return PagedItems(_every_page(fetch, query))


@without_locals
def _every_page(
    fetch: Callable[[Mapping[str, str]], Mapping[str, Any]], query: Mapping[str, str]
) -> Iterator[Sequence[Mapping[str, Any]]]:
    # Brent's way to find a circle of any length with one cursor remembered: each time the number of pages has
    # doubled, it is the newest one.
    remembered, pages, doubled, empty = query.get("cursor"), 0, 1, 0
    while True:
        page = fetch(query)
        items = page.get("items") or ()
        yield items
        cursor = page.get("next_cursor")
        if not cursor:
            return
        empty = 0 if items else empty + 1
        if cursor == remembered or empty > MAX_EMPTY_PAGES:
            raise SockudoError("history: the server's cursors go in a circle, or through empty pages without end")
        pages += 1
        if pages == doubled:
            remembered, doubled = cursor, doubled * 2
        query = {**query, "cursor": cursor}
