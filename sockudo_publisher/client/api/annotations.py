"""What clients say about a message, reactions and the like: publish, delete, list.

A class of :class:`Calls`. The server has these calls where it is built with ``versioned-messages`` and
``[versioned_messages]``, ``[history]`` and ``[annotations]`` are on; elsewhere each raises
``SockudoHTTPError`` 422 ``feature_disabled``. An app that does not allow them answers ``Forbidden``. Facts:
docs/server.md, 1.8; the server's ``annotations/types.rs``.
"""

from __future__ import annotations

import re
from typing import Any, cast

from ...errors import ValidationError
from ..http.calls import Calls
from ..http.retries import CLIENTS, CallRetries
from ..wire.limits import MAX_USER_ID_BYTES, check_socket_id
from ..wire.parameters import (
    MAX_TEXT_BYTES,
    checked_json,
    checked_limit,
    checked_opaque_serial,
    checked_text,
    json_body,
    without_none,
)
from ..wire.paths import segment
from .answers import AnnotationDeleted, AnnotationPublished, AnnotationsPage
from .messages import message_path

__all__ = ["Annotations"]

#: Bytes of the type of an annotation: the server's ``MAX_ANNOTATION_TYPE_LENGTH``.
MAX_TYPE_BYTES = 256

# namespace:summarizer.v1; which summarizers there are is the server's to say.
_TYPE = re.compile(r"[^\s:]+:[^\s.]+\.v[0-9]{1,5}")


class Annotations(Calls):
    """``publish_annotation``, ``delete_annotation`` and ``list_annotations``.

    Serials are texts of the server's: 1 to 128 bytes without space, or an ``int`` of up to 64 bits. Nothing
    of an annotation is encrypted, whatever its channel. Answers have the server's names, in camelCase here.
    ``retries``: as of the client, for this call.
    """

    def publish_annotation(
        self,
        channel: str,
        message_serial: int | str,
        annotation_type: str,
        *,
        name: str | None = None,
        client_id: str | None = None,
        socket_id: str | None = None,
        count: int | None = None,
        data: Any = None,
        encoding: str | None = None,
        retries: CallRetries = CLIENTS,
    ) -> AnnotationPublished:
        """Annotate a message. Returns ``{"annotationSerial": str}``.

        ``annotation_type``: ``"namespace:summarizer.v1"``, up to 256 bytes; the summarizer is ``total``,
        ``flag``, ``distinct``, ``unique`` or ``multiple``. ``name`` (1 to 1,024 bytes, as ``"👍"``) is needed by
        the last three, ``client_id`` (1 to 200 bytes) by ``flag``, ``distinct`` and ``unique``. ``count``: 1 or
        more. ``data``: JSON of up to 64 KiB; Sockudo 5.2.0 cannot read any, and answers 422. ``socket_id``: a
        V2 connection, whose rights then count.

        Raises ``ValidationError``, and ``NotFound`` for a message that is not there. Tried again only when
        it was certainly not sent: a repeat would count twice.
        """
        kind = checked_text("annotation_type", annotation_type, MAX_TYPE_BYTES)
        if _TYPE.fullmatch(kind) is None:
            raise ValidationError(f"annotation_type: {len(kind)} characters, expected namespace:summarizer.v1")
        fields = {
            "type": kind,
            "name": None if name is None else checked_text("name", name, MAX_TEXT_BYTES),
            "clientId": None if client_id is None else checked_text("client_id", client_id, MAX_USER_ID_BYTES),
            "socketId": None if socket_id is None else check_socket_id(socket_id),
            "count": None if count is None else checked_limit(count, field="count"),
            "data": None if data is None else checked_json("data", data),
            "encoding": None if encoding is None else checked_text("encoding", encoding, MAX_TEXT_BYTES),
        }
        path = message_path(channel, message_serial, "/annotations")
        return cast(AnnotationPublished, self.call("POST", path, body=json_body(fields), retries=retries))

    def delete_annotation(
        self,
        channel: str,
        message_serial: int | str,
        annotation_serial: int | str,
        *,
        socket_id: str | None = None,
        retries: CallRetries = CLIENTS,
    ) -> AnnotationDeleted:
        """Take an annotation back. Returns ``{"annotationSerial": str, "deletedAnnotationSerial": str}``.

        ``socket_id``: a V2 connection, whose rights then count. Repeated according to ``retries``, even if
        the result of an attempt is unknown. Raises ``ValidationError``, and ``NotFound``
        for an annotation that is not of this message.
        """
        serial = segment(checked_opaque_serial("annotation_serial", annotation_serial), field="annotation_serial")
        query = without_none({"socket_id": None if socket_id is None else check_socket_id(socket_id)})
        path = message_path(channel, message_serial, f"/annotations/{serial}")
        return cast(AnnotationDeleted, self.call("DELETE", path, query=query, repeatable=True, retries=retries))

    def list_annotations(
        self,
        channel: str,
        message_serial: int | str,
        *,
        annotation_type: str | None = None,
        from_serial: int | str | None = None,
        limit: int | None = None,
        socket_id: str | None = None,
        retries: CallRetries = CLIENTS,
    ) -> AnnotationsPage:
        """One page of a message's annotations and their deletions, oldest first.

        ``from_serial``: those after this one; the ``nextCursor`` of the page before. ``limit``: 1 or more, at
        most the server's (100). Returns ``{"items": […], "hasMore": bool, "nextCursor": str | None, …}``.
        """
        given = {
            "type": None
            if annotation_type is None
            else checked_text("annotation_type", annotation_type, MAX_TYPE_BYTES),
            "from_serial": None if from_serial is None else checked_opaque_serial("from_serial", from_serial),
            "limit": None if limit is None else str(checked_limit(limit)),
            "socket_id": None if socket_id is None else check_socket_id(socket_id),
        }
        path = message_path(channel, message_serial, "/annotations")
        return cast(
            AnnotationsPage,
            self.call("GET", path, query=without_none(given), retries=retries, expected=("items", list)),
        )
