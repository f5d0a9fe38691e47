"""What a permission function answers, and what that means for a channel. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID

from ...errors import ValidationError
from .pattern import ChannelKind

__all__ = ["Allowed", "Denied", "Member", "Verdict", "judge_answer", "with_id_text"]


@dataclass(frozen=True)
class Member:
    """A member of a presence channel: what the other members see.

    ``user_id``: text of 1 to 200 bytes; an ``int`` or ``UUID``, as primary keys are, becomes its text. ``user_info``:
    anything that JSON holds, or ``None``. A ``dict`` with these keys does the same.
    """

    user_id: str | int | UUID
    user_info: Any = field(default=None, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """As :meth:`Sockudo.authenticate` takes it."""
        plain: dict[str, Any] = {"user_id": id_text(self.user_id)}
        if self.user_info is not None:
            plain["user_info"] = self.user_info
        return plain


@dataclass(frozen=True)
class Allowed:
    """The user may subscribe. ``member``: on a presence channel."""

    member: dict[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Denied:
    """The user may not. ``fault``: what is wrong with the permission function's answer, if something is."""

    fault: str | None = None


Verdict: TypeAlias = Allowed | Denied


def judge_answer(kind: ChannelKind, answer: object) -> Verdict:
    """What a permission function's answer means.

    ``True`` and a member are a yes, ``False`` and ``None`` a no. Anything else is a no and a fault: a truthy object,
    such as a coroutine that was not awaited or a query that was not run, must not let a subscriber in. A presence
    channel needs a member; elsewhere a member is a yes.
    """
    if answer is None or answer is False:
        return Denied()
    if answer is True:
        if kind.is_presence:
            return Denied("answered True for a presence channel, expected Member(user_id, user_info) or a dict")
        return Allowed()
    if isinstance(answer, Member):
        return Allowed(answer.as_dict()) if kind.is_presence else Allowed()
    if isinstance(answer, Mapping):
        if "user_id" not in answer:
            return Denied("answered a mapping without user_id")
        member = {**answer, "user_id": id_text(answer["user_id"])}
        return Allowed(member) if kind.is_presence else Allowed()
    return Denied(f"answered a {type(answer).__name__}, expected a bool, a Member or a dict")


def id_text(value: object) -> Any:
    """An id as text where it is a number or a UUID; other values unchanged, for the client to check."""
    if isinstance(value, bool) or not isinstance(value, int | UUID):
        return value
    return str(value)


def with_id_text(user_data: object) -> dict[str, Any]:
    """The data of a sign-in with its ``id`` as text. Raises ``ValidationError`` for what is no mapping."""
    if not isinstance(user_data, Mapping):
        raise ValidationError(f"user_data: a {type(user_data).__name__}, expected a mapping with id")
    plain = dict(user_data)
    if "id" in plain:
        plain["id"] = id_text(plain["id"])
    return plain
