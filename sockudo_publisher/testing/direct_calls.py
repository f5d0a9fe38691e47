"""The answers to direct calls, ``publish(...)`` and ``Sockudo.trigger*``, in place of a server.

Publishes are answered as Sockudo answers them, with its dedup memory of message ids (docs/server.md, 3). All other
calls are answered with what the test has given, ``published.answer(...)``.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from ..errors import error_for_status

__all__ = ["Answers", "IdMemory", "RequestItem", "read_publish"]

#: Paths of the calls that publish.
_EVENT, _BATCH = "/events", "/batch_events"
_BATCH_HEAD = '{"batch":['


class RequestItem(NamedTuple):
    """One event of a request for one channel, and the bytes that the encoder made it of."""

    channel: str
    fields: Mapping[str, Any]
    encoded: bytes


def read_publish(method: str, path: str, body: bytes | None) -> tuple[list[RequestItem], bool] | None:
    """The events of a request, and whether it is a batch; ``None`` for a request that publishes nothing. Pure."""
    if method != "POST" or body is None or path not in (_EVENT, _BATCH):
        return None
    if path == _EVENT:
        fields = json.loads(body)
        return [RequestItem(channel, fields, body) for channel in fields["channels"]], False
    return list(_batch_items(body.decode())), True


def _batch_items(text: str) -> Iterator[RequestItem]:
    decoder, at = json.JSONDecoder(), len(_BATCH_HEAD)
    while text[at] != "]":
        fields, end = decoder.raw_decode(text, at)
        yield RequestItem(fields["channel"], fields, text[at:end].encode())
        at = end + (text[end] == ",")


class IdMemory:
    """Which ids a server of one app has published, with which payload and receipt."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], tuple[str, str]] = {}

    def claim(self, app_id: str, item: RequestItem) -> tuple[str, bool]:
        """The receipt of an item, and whether it is a repeat. Raises :class:`BadRequest` as the server answers."""
        fields = item.fields
        extras = fields.get("extras") or {}
        identity = fields.get("message_id") or extras.get("idempotencyKey") or fields.get("idempotency_key")
        if identity is None:
            return str(uuid.uuid4()), False
        place = app_id, item.channel, str(identity)
        payload = json.dumps([fields.get(name) for name in ("name", "data", "tags", "extras")], sort_keys=True)
        known = self._known.get(place)
        if known is None:
            receipt = fields.get("message_id") or str(uuid.uuid4())
            self._known[place] = payload, receipt
            return receipt, False
        if known[0] != payload:
            text = "idempotency key was already used with a different payload"
            raise error_for_status(400, "invalid_input", text)
        return known[1], True


class Answers:
    """What the test wants its queries to be answered with."""

    def __init__(self) -> None:
        self._given: list[tuple[str, Any]] = []

    def give(self, path: str, answer: Any) -> None:
        """``path``: below the app, such as ``/channels/orders``, or a pattern. The latest that fits counts."""
        if not isinstance(path, str) or not path.startswith("/"):
            raise ValueError(f"path: {path!r}, expected the path below the app, such as '/channels/orders'")
        if not (isinstance(answer, Mapping | Exception) or callable(answer)):
            kind = type(answer).__name__
            raise TypeError(f"answer: a {kind}, expected the server's JSON object, an error to raise, or a function")
        self._given.insert(0, (path, answer))

    def find_given(self, path: str, query: Mapping[str, str] | None) -> dict[str, Any] | None:
        """The answer that the test has given, or ``None``. Raises the given error."""
        for pattern, answer in self._given:
            if fnmatchcase(path, pattern):
                found = answer(path, dict(query or {})) if _is_function(answer) else answer
                if isinstance(found, Exception):
                    raise found
                return dict(found)
        return None

    def find(self, method: str, path: str, query: Mapping[str, str] | None) -> dict[str, Any]:
        """The answer to a call that publishes nothing. Raises :class:`AssertionError` for a query without one."""
        given = self.find_given(path, query)
        if given is not None:
            return given
        if method != "GET":
            return {}  # as Sockudo answers orders such as terminate_user_connections
        raise AssertionError(
            f"{method} {path}: under a recorder no server answers; say what it would: "
            f"published.answer({path!r}, {{...}}), or use the fixture sockudo_server"
        )


def _is_function(answer: Any) -> bool:
    return callable(answer) and not isinstance(answer, Mapping | Exception)
