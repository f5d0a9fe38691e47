"""Messages that change after they are published: read one, its versions, update, delete, append.

A class of :class:`Calls`. The server has these calls where it is built with ``versioned-messages`` and
``[versioned_messages]`` and ``[history]`` are on; elsewhere each raises ``SockudoHTTPError`` 422
``feature_disabled``. A message is known by its serial, an opaque text that a publish with ``info`` or
``message_id`` answers as ``message_serial``. Facts: docs/server.md, 1.8; the server's
``versioned_messages.rs``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from ...errors import ValidationError
from ..http.calls import Calls
from ..http.retries import CLIENTS, CallRetries
from ..wire.encryption import is_encrypted
from ..wire.limits import MAX_USER_ID_BYTES, check_channel, check_event_name, check_socket_id, unordered_extras
from ..wire.parameters import (
    MAX_TEXT_BYTES,
    channel_path,
    checked_json,
    checked_limit,
    checked_opaque_serial,
    checked_text,
    json_body,
    without_none,
)
from ..wire.paths import segment
from .answers import Mutation, VersionedMessageAnswer, VersionsPage

__all__ = ["Messages", "message_path"]

#: Bytes of the id of one operation: the server's ``AI_MESSAGE_ID_MAX_BYTES``.
MAX_OPERATION_ID_BYTES = 64

ClearField = Literal["name", "data", "extras"]


class Messages(Calls):
    """``get_message``, ``get_message_versions``, ``update_message``, ``delete_message``, ``append_message``.

    ``message_serial`` is what the server gave: 1 to 128 bytes without space, or an ``int`` of up to 64 bits.
    All raise ``ValidationError`` before anything is sent, and ``NotFound`` for a message that is not there.

    The three that change a message also take ``client_id`` (1 to 200 bytes) and
    ``socket_id`` (a V2 connection, whose rights then count), ``description`` (1 to 1,024 bytes) and
    ``metadata`` (JSON of up to 64 KiB; Sockudo 5.2.0 cannot read any, and answers 422) of the new version, and
    ``op_id`` (1 to 64 bytes): the server carries out an operation id once, so only a call with it
    is repeated after an unknown result (and not with ``extras`` as at :meth:`trigger`). ``retries``: as of the
    client, for this call.
    """

    def get_message(
        self, channel: str, message_serial: int | str, *, retries: CallRetries = CLIENTS
    ) -> VersionedMessageAnswer:
        """A message as it is now: ``{"channel": …, "item": {…}}``."""
        return cast(
            VersionedMessageAnswer,
            self.call("GET", message_path(channel, message_serial), retries=retries, expected=("item", dict)),
        )

    def get_message_versions(
        self,
        channel: str,
        message_serial: int | str,
        *,
        limit: int | None = None,
        direction: Literal["newest_first", "oldest_first"] | None = None,
        cursor: str | None = None,
        retries: CallRetries = CLIENTS,
    ) -> VersionsPage:
        """One page of a message's versions, newest first by default: ``{"items": […], "has_more", …}``.

        ``limit``: 1 or more, at most the server's (100). ``cursor``: the ``next_cursor`` of the page before,
        with the same direction.
        """
        if direction not in (None, "newest_first", "oldest_first"):
            raise ValidationError("direction: unknown, expected newest_first or oldest_first")
        given = {
            "limit": None if limit is None else str(checked_limit(limit)),
            "direction": direction,
            "cursor": None if cursor is None else checked_opaque_serial("cursor", cursor),
        }
        path = message_path(channel, message_serial, "/versions")
        return cast(
            VersionsPage, self.call("GET", path, query=without_none(given), retries=retries, expected=("items", list))
        )

    def update_message(
        self,
        channel: str,
        message_serial: int | str,
        *,
        data: Any = None,
        name: str | None = None,
        extras: Mapping[str, Any] | None = None,
        clear_fields: Sequence[ClearField] = (),
        client_id: str | None = None,
        socket_id: str | None = None,
        description: str | None = None,
        metadata: Any = None,
        op_id: str | None = None,
        retries: CallRetries = CLIENTS,
    ) -> Mutation:
        """Replace what is given and keep the rest; ``clear_fields`` names what shall be gone.

        ``data``: as with :meth:`trigger`, encrypted on an encrypted channel; ``None`` keeps it. At least one
        argument is needed. Returns ``{"accepted": True, "version_serial", "history_serial", "status":
        "applied" | "duplicate", …}``.
        """
        fields = {
            "name": None if name is None else check_event_name(name),
            **self._replaced(channel, data, extras, clear_fields, name=name),
            **_about(client_id, socket_id, description, metadata, op_id),
        }
        if set(without_none(fields)) <= {"socket_id"}:
            raise ValidationError("update: nothing to change, expected data, name, extras, clear_fields or the like")
        return self._mutation(channel, message_serial, "update", fields, retries)

    def delete_message(
        self,
        channel: str,
        message_serial: int | str,
        *,
        data: Any = None,
        extras: Mapping[str, Any] | None = None,
        clear_fields: Sequence[ClearField] = (),
        client_id: str | None = None,
        socket_id: str | None = None,
        description: str | None = None,
        metadata: Any = None,
        op_id: str | None = None,
        retries: CallRetries = CLIENTS,
    ) -> Mutation:
        """Mark a message as deleted: a new version, whose predecessors stay until their retention ends.

        Without arguments the deleted version carries the message's last ``data``; replace it, or clear it
        with ``clear_fields=["data"]``. Returns as :meth:`update_message`.
        """
        fields = {
            **self._replaced(channel, data, extras, clear_fields),
            **_about(client_id, socket_id, description, metadata, op_id),
        }
        return self._mutation(channel, message_serial, "delete", fields, retries)

    def append_message(
        self,
        channel: str,
        message_serial: int | str,
        data: str,
        *,
        extras: Mapping[str, Any] | None = None,
        client_id: str | None = None,
        socket_id: str | None = None,
        description: str | None = None,
        metadata: Any = None,
        op_id: str | None = None,
        retries: CallRetries = CLIENTS,
    ) -> Mutation:
        """Put text after a message's ``data``. Give an ``op_id``: without one, a repeat appends it twice.

        ``data``: text, not empty. Not on an encrypted channel, where the whole ``data`` is one ciphertext.
        Returns as :meth:`update_message`.
        """
        if not isinstance(data, str) or not data:
            raise ValidationError(f"data: {'empty' if data == '' else f'a {type(data).__name__}'}, expected text")
        if is_encrypted(check_channel(channel)):
            raise ValidationError("channel: encrypted, and no subscriber could read text after a ciphertext")
        fields = {
            **self._replaced(channel, data, extras, ()),
            **_about(client_id, socket_id, description, metadata, op_id),
        }
        return self._mutation(channel, message_serial, "append", fields, retries)

    def _replaced(
        self,
        channel: str,
        data: Any,
        extras: Mapping[str, Any] | None,
        clear_fields: Sequence[str],
        *,
        name: str | None = None,
    ) -> dict[str, Any]:
        cleared = [clear_fields] if isinstance(clear_fields, str) else list(clear_fields)
        if set(cleared) - {"name", "data", "extras"}:
            raise ValidationError("clear_fields: unknown, expected name, data or extras")
        if len(set(cleared)) < len(cleared):
            raise ValidationError(f"clear_fields: {len(cleared)} names, some of them twice")
        for field, value in {"name": name, "data": data, "extras": extras}.items():
            if value is not None and field in cleared:
                raise ValidationError(f"{field}: both replaced and cleared")
        if extras is not None and not isinstance(extras, Mapping):
            raise ValidationError(f"extras: a {type(extras).__name__}, expected a mapping")
        return {
            "data": None if data is None else self._as_published(channel, data),
            "extras": None if extras is None else checked_json("extras", dict(extras)),
            "clear_fields": cleared or None,
        }

    def _as_published(self, channel: str, data: Any) -> str:
        """``data`` as a publish to this channel carries it: within its limit, and encrypted if the channel is."""
        item = self.encoder.item(channel, "message", self.encoder.payload(data))
        return cast(str, json.loads(item)["data"])

    def _mutation(
        self,
        channel: str,
        message_serial: int | str,
        operation: str,
        fields: Mapping[str, Any],
        retries: CallRetries,
    ) -> Mutation:
        path = message_path(channel, message_serial, f"/{operation}")
        # By an op_id the server knows a repeat; unless it sees another payload in the same extras, ordered otherwise.
        repeatable = fields["op_id"] is not None and unordered_extras(fields["extras"]) is None
        return cast(Mutation, self.call("POST", path, body=json_body(fields), repeatable=repeatable, retries=retries))


def message_path(channel: str, message_serial: int | str, suffix: str = "") -> str:
    """``/channels/{channel}/messages/{serial}{suffix}``, both checked and percent-encoded."""
    serial = segment(checked_opaque_serial("message_serial", message_serial), field="message_serial")
    return channel_path(channel, f"/messages/{serial}{suffix}")


def _about(
    client_id: str | None, socket_id: str | None, description: str | None, metadata: Any, op_id: str | None
) -> dict[str, Any]:
    """Who did it, and why."""
    return {
        "client_id": None if client_id is None else checked_text("client_id", client_id, MAX_USER_ID_BYTES),
        "socket_id": None if socket_id is None else check_socket_id(socket_id),
        "description": None if description is None else checked_text("description", description, MAX_TEXT_BYTES),
        "metadata": None if metadata is None else checked_json("metadata", metadata),
        "op_id": None if op_id is None else checked_text("op_id", op_id, MAX_OPERATION_ID_BYTES),
    }
