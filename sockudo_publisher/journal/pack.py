"""The entry: a pack of finished items, joined as they go into ``{"batch":[...]}``.

This is the one format of what waits in Redis, in lanes and in held channels. Everybody reads it by names, never by
place. A stream entry has these fields:

===== ========================================================================================================
``v`` ``1``. A reader leaves an entry of another version where it is: a newer release reads it.
``n`` the number of items, 1 to :data:`MAX_ITEMS`
``x`` the earliest expiry of an item, ms since the epoch; ``0``: none expires
``m`` the meta: a JSON object of lists, each with a value per item, in their order
``b`` the items joined by commas; they are never parsed
``t`` of what was held: the start of its first attempt, ms since the epoch; else missing
``f`` the number of the first item, if items have collapse keys and were never sent; the next item has the next number
===== ========================================================================================================

and the meta these lists:

===== ========================================================================================================
``n`` lengths in bytes
``c`` channels
``x`` expiries, ms since the epoch, 0 = never; may be missing where none of the items expires
``k`` collapse keys, "" = none; missing where none of the items has one
``r`` trace contexts of the calls (W3C ``traceparent``), "" = none; missing where none of the items has one
===== ========================================================================================================

**A later field needs no other version.** What concerns an entry becomes a field of the entry (the first number of
its items, say), which readers that do not know it pass over. What concerns an item becomes a list of the meta (its
collapse key, its trace context); wherever an item leaves its pack, every list of the meta is cut with it, whatever its
name. Numbers of more than 14 digits are strings there, as Lua's JSON keeps no more. The version changes only where
an old reader would deliver something wrong.

Written by ``add_entry.lua``, read by ``entry.lua`` and here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

__all__ = [
    "MAX_BYTES",
    "MAX_ITEMS",
    "VERSION",
    "Item",
    "KeyedItem",
    "Pack",
    "Packed",
    "UnreadableEntry",
    "describe_body",
    "pack",
    "packs",
]

#: Of the entries that this release writes, and knows; the scripts have it as a literal.
VERSION = "1"

#: Items of one entry. A worker can take part of a pack, so this only bounds the size of an entry.
MAX_ITEMS = 100

#: Bytes of one entry, unless a single item is larger: an entry is copied whole in every take.
MAX_BYTES = 256 * 1024


class UnreadableEntry(Exception):
    """The meta of an entry does not say where its items are; ``entry_id`` names it in its stream."""

    def __init__(self, entry_id: bytes) -> None:
        super().__init__(f"entry {entry_id.decode(errors='replace')}: its meta does not fit its body")
        self.entry_id = entry_id


class Item(NamedTuple):
    """The final bytes of one event for one channel, as the journal keeps them.

    ``expires_ms`` is Redis' time after which it is not sent for the first time any more; 0 = never. ``collapse``: while
    it waits unsent, a later item of its channel with the same key replaces it; "" = none. ``trace``: the context of the
    call's span, "" = none. Only appending needs these two: an item of a batch has "". The ``repr`` of this class, and
    of all that contain payloads, shows channel, name, id and size.
    """

    channel: str
    body: bytes
    expires_ms: int = 0
    collapse: str = ""
    trace: str = ""

    def __repr__(self) -> str:
        return f"Item(channel={self.channel!r}, {describe_body(self.body)}, expires_ms={self.expires_ms})"


class KeyedItem(NamedTuple):
    """An item with the key that makes it append at most once; ``fingerprint`` is of its payload."""

    item: Item
    key: str
    fingerprint: str

    @property
    def channel(self) -> str:
        """Where the item goes."""
        return self.item.channel


class Packed(NamedTuple):
    """What the append script is given of one pack."""

    count: int  # type: ignore[assignment]  # tuple's own `count` is not used
    earliest_expiry_ms: int
    meta: str
    body: bytes
    collapses: bool = False

    def __repr__(self) -> str:
        return f"Packed(count={self.count}, meta={self.meta!r}, {len(self.body)} bytes)"


def describe_body(body: bytes) -> str:
    """Name, message id and size of one event's bytes, for a ``repr``: nothing is parsed before one is wanted."""
    shown = ""
    try:
        event = json.loads(body)
        shown = "".join(f"{name}={event[name]!r}, " for name in ("name", "message_id") if isinstance(event[name], str))
    except (ValueError, TypeError, LookupError, RecursionError):
        pass  # no event: its size alone
    return f"{shown}{len(body)} bytes"


def pack(items: Sequence[Item]) -> Packed:
    """Join items into one entry. Pure."""
    assert items, "a pack holds at least one item"
    if len(items) == 1:  # what every `delay` appends
        channel, body, expires_ms, collapse, trace = items[0]
        rest = f',"x":[{expires_ms}]' if expires_ms else ""
        if collapse:
            rest += f',"k":{_names((collapse,))}'
        if trace:
            rest += f',"r":{_names((trace,))}'
        return Packed(1, expires_ms, f'{{"n":[{len(body)}],"c":{_names((channel,))}{rest}}}', body, bool(collapse))
    expiries = [item.expires_ms for item in items]
    meta = f'{{"n":{_numbers([len(item.body) for item in items])},"c":{_names([item.channel for item in items])}'
    earliest = 0
    if any(expiries):
        earliest = min(expiry for expiry in expiries if expiry)
        meta += f',"x":{_numbers(expiries)}'
    collapse_keys = [item.collapse for item in items]
    collapses = any(collapse_keys)
    if collapses:
        meta += f',"k":{_names(collapse_keys)}'
    traces = [item.trace for item in items]
    if any(traces):
        meta += f',"r":{_names(traces)}'
    return Packed(len(items), earliest, meta + "}", b",".join([item.body for item in items]), collapses)


def packs(items: Sequence[Item]) -> Iterator[Packed]:
    """Cut items, in order, into packs of at most :data:`MAX_ITEMS` and about :data:`MAX_BYTES`."""
    if len(items) == 1:
        yield pack(items)
        return
    run: list[Item] = []
    size = 0
    for item in items:
        if run and (len(run) == MAX_ITEMS or size + len(item.body) > MAX_BYTES):
            yield pack(run)
            run, size = [], 0
        run.append(item)
        size += len(item.body) + 1
    if run:
        yield pack(run)


def _numbers(values: Sequence[int]) -> str:
    return f"[{','.join(map(str, values))}]"


def _names(values: Sequence[str]) -> str:
    # A valid channel name has no character that JSON escapes; what is valid is not this room's to know.
    if (
        len(values) == 1
        and (name := values[0]).isascii()
        and name.isprintable()
        and '"' not in name
        and "\\" not in name
    ):
        return f'["{name}"]'
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Pack:
    """What a take answered of one entry: the items ``start`` to ``stop`` without the ``skipped``."""

    entry_id: bytes
    size: int
    meta: bytes
    body: bytes
    start: int
    stop: int
    skipped: frozenset[int] = frozenset()

    def __repr__(self) -> str:
        return (
            f"Pack(entry_id={self.entry_id!r}, items {self.start} to {self.stop} of {self.size}, "
            f"skipped={len(self.skipped)}, meta={self.meta!r}, {len(self.body)} bytes)"
        )

    @property
    def _parts(self) -> tuple[list[int], list[str], list[int]]:
        # No cached_property, which has a lock before Python 3.12: a worker's fork would meet it locked by the sweep.
        parts: tuple[list[int], list[str], list[int]] | None = self.__dict__.get("_read_parts")
        if parts is None:
            parts = self.__dict__["_read_parts"] = _read_meta(self.meta, self.size, len(self.body))
        if parts is None:
            raise UnreadableEntry(self.entry_id)
        return parts

    @property
    def count(self) -> int:
        """Items of this pack that belong to the batch."""
        return self.stop - self.start - len(self.skipped)

    @property
    def is_whole(self) -> bool:
        """Whether the body is the batch's part as it stands."""
        return self.start == 0 and self.stop == self.size and not self.skipped

    def indexes(self) -> list[int]:
        """The positions in the entry of the batch's items."""
        return [index for index in range(self.start, self.stop) if index not in self.skipped]

    def item(self, index: int) -> Item:
        """One item by its position in the entry."""
        lengths, channels, expiries = self._parts
        offset = sum(lengths[:index]) + index
        return Item(channels[index], self.body[offset : offset + lengths[index]], expiries[index])

    def meta_of(self, index: int) -> str:
        """The meta of one item, as JSON: what a pack of it alone would have. With the lists of later releases."""
        assert self._parts, "lists that fit the body"
        lists = {
            name: of for name, of in json.loads(self.meta).items() if isinstance(of, list) and len(of) == self.size
        }
        return json.dumps({name: [of[index]] for name, of in lists.items()}, ensure_ascii=False, separators=(",", ":"))

    def traces(self) -> list[str]:
        """The trace contexts of the batch's items of this pack, as far as there are any and they can be read."""
        if b'"r":' not in self.meta:
            return []
        try:
            found = json.loads(self.meta).get("r")
        except (ValueError, AttributeError, RecursionError):
            return []  # what else depends on the meta reports it
        if not isinstance(found, list) or len(found) != self.size:
            return []
        return [found[index] for index in self.indexes() if isinstance(found[index], str) and found[index]]

    def joined(self) -> bytes:
        """The batch's items of this pack, joined by commas."""
        if self.is_whole:
            return self.body
        lengths = self._parts[0]
        if not self.skipped:
            offset = sum(lengths[: self.start]) + self.start
            size = sum(lengths[self.start : self.stop]) + self.stop - self.start - 1
            return self.body[offset : offset + size]
        return b",".join(self.item(index).body for index in self.indexes())

    def first(self, count: int) -> Pack:
        """The same pack with only its first ``count`` items of the batch."""
        if count >= self.count:
            return self
        stop = self.indexes()[count - 1] + 1
        return Pack(
            self.entry_id,
            self.size,
            self.meta,
            self.body,
            self.start,
            stop,
            frozenset(index for index in self.skipped if index < stop),
        )


def _read_meta(text: bytes, size: int, body_bytes: int) -> tuple[list[int], list[str], list[int]] | None:
    """Lengths, channels and expiries of ``size`` items; ``None`` where they are not, or do not add up to the body.

    As ``read_meta`` in ``entry.lua``, which looks at what is taken in part; this is for what goes whole.
    """
    # Whole lists at a time: a batch of 500 has some packs that are sent in part, and each is checked.
    try:
        meta = json.loads(text)
        lengths, channels, expiries = meta["n"], meta["c"], meta.get("x")
        is_ours = (
            len(lengths) == len(channels) == size
            and set(map(type, lengths)) == {int}  # type(), as Python takes True for an int
            and min(lengths) > 0
            and sum(lengths) + size - 1 == body_bytes
            and set(map(type, channels)) == {str}
            and all(channels)
            and (expiries is None or (len(expiries) == size and _are_times(expiries)))
        )
        if is_ours:
            "".join(channels).encode()  # a lone surrogate is a ValueError
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if not is_ours:
        return None
    return lengths, channels, [0] * size if expiries is None else list(map(int, expiries))


def _are_times(expiries: Sequence[object]) -> bool:
    return all(type(one) in (int, float) and 0 <= one < _MAX_MS for one in expiries)  # type: ignore[operator]


#: Milliseconds that are no time any more, as in ``entry.lua``.
_MAX_MS = 10**15
