"""Which function decides about which channels.

A :class:`Registry` holds pairs of a pattern and a function; ``channel`` puts them into the default one, where a
framework's autodiscovery finds them. Functions are called by ``ask``.
"""

from __future__ import annotations

import inspect
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from ...errors import ValidationError
from .pattern import ChannelKind, ChannelPattern, overlap

__all__ = ["Found", "Permission", "PermissionFunction", "Registry", "channel", "default_registry", "registry_of"]

#: ``may_join(user, **variables)``, synchronous or a coroutine function. Answers a ``bool``, a ``Member`` or a ``dict``.
PermissionFunction: TypeAlias = Callable[..., Any]

_Function = TypeVar("_Function", bound=PermissionFunction)


@dataclass(frozen=True)
class Permission:
    """One pattern and its function. ``pattern``: ``None`` for a function that decides about every channel."""

    pattern: ChannelPattern | None
    function: PermissionFunction = field(repr=False)

    @property
    def name(self) -> str:
        """The function's name, for messages."""
        return _name_of(self.function)

    @property
    def pattern_text(self) -> str:
        """The pattern, for messages."""
        return self.pattern.text if self.pattern else "every channel"

    def matches(self, name: str) -> dict[str, str] | None:
        """The arguments, beside the user, that the function is called with for this channel; ``None`` for no match."""
        if self.pattern is None:
            return {"channel": name} if ChannelKind.of(name) is not None else None
        return self.pattern.match(name)


@dataclass(frozen=True)
class Found:
    """The function that decides about a channel, and its arguments beside the user."""

    permission: Permission
    arguments: dict[str, str]


class Registry:
    """Permission functions by the patterns of channels.

    .. code-block:: python

        permissions = Registry()

        @permissions.channel("private-orders.{order_id}")
        def may_join(user, order_id):
            return user.orders.filter(pk=order_id).exists()

    A channel that no pattern matches is denied. So is one that two patterns match; :func:`check` finds such patterns
    before. Safe for threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._permissions: tuple[Permission, ...] = ()
        #: The patterns that a log line has named; ``None`` before the first.
        self._logged_patterns: tuple[str, ...] | None = None

    def __iter__(self) -> Iterator[Permission]:
        return iter(self._permissions)

    def __len__(self) -> int:
        return len(self._permissions)

    def __repr__(self) -> str:
        return f"Registry({len(self._permissions)} patterns)"

    def channel(self, *patterns: str) -> Callable[[_Function], _Function]:
        """Decorator: this function decides who may subscribe to the channels of these patterns.

        The function is called with the user, then the pattern's variables by name, as text. Returns it unchanged.
        Raises ``ValidationError`` for text that is no pattern (:class:`ChannelPattern`) and for a function that cannot
        be called so.
        """
        if not patterns or callable(patterns[0]):
            raise ValidationError('channel: no pattern, expected @channel("private-orders.{order_id}")')

        def decorate(function: _Function) -> _Function:
            for pattern in patterns:
                self.add(pattern, function)
            if self is not default_registry:
                _of_other_registries.add(function)
            return function

        return decorate

    def add(self, pattern: str | ChannelPattern, function: PermissionFunction) -> None:
        """As :meth:`channel`, called. The same function of a module that is loaded again takes the old one's place."""
        read = pattern if isinstance(pattern, ChannelPattern) else ChannelPattern(pattern)
        _check_callable(function, read.variables, f"pattern {read.text!r}")
        self._put(Permission(read, function))

    def add_for_every_channel(self, function: PermissionFunction) -> None:
        """``function(user, channel)`` decides about all channels. Raises ``ValidationError``: not callable so."""
        _check_callable(function, ("channel",), "every channel")
        self._put(Permission(None, function))

    def _put(self, permission: Permission) -> None:
        with self._lock:
            others = [one for one in self._permissions if not _is_same(one, permission)]
            self._permissions = (*others, permission)

    def clear(self) -> None:
        """Forget all, for tests."""
        with self._lock:
            self._permissions = ()

    def find(self, name: str) -> tuple[Found, ...]:
        """The functions whose pattern matches a channel: none, one, or, if patterns overlap, several."""
        return tuple(
            Found(permission, arguments)
            for permission in self._permissions
            if (arguments := permission.matches(name)) is not None
        )

    def pop_unlogged_patterns(self) -> tuple[str, ...] | None:
        """The texts of all patterns, for a log line; ``None`` if this very set was asked for before."""
        with self._lock:
            texts = tuple(permission.pattern_text for permission in self._permissions)
            if texts == self._logged_patterns:
                return None
            self._logged_patterns = texts
            return texts

    def overlaps(self) -> tuple[tuple[Permission, Permission], ...]:
        """Pairs of permissions that match one channel."""
        every = self._permissions
        return tuple(
            (one, other)
            for index, one in enumerate(every)
            for other in every[index + 1 :]
            if one.pattern is None or other.pattern is None or overlap(one.pattern, other.pattern)
        )

    def part(self, functions: Iterable[PermissionFunction]) -> Registry:
        """A registry with the permissions of these functions alone."""
        wanted, part = list(functions), Registry()
        for permission in self._permissions:
            if any(permission.function is function for function in wanted):
                part._put(permission)
        return part


#: Functions with patterns in another registry than the default one: without it, they are not usable.
_of_other_registries: weakref.WeakSet[PermissionFunction] = weakref.WeakSet()

#: Where ``channel`` puts permissions, and where the frameworks' packages look unless another registry is given.
default_registry = Registry()
channel = default_registry.channel


def registry_of(*sources: Registry | PermissionFunction) -> Registry:
    """The registry that these name: a registry itself, decorated functions, or none for the default one.

    A function without a pattern decides about every channel, and is called with the user and the channel; its second
    parameter has to be named ``channel``, so that a forgotten decorator is an error. Raises ``ValidationError``.
    """
    if not sources:
        return default_registry
    if len(sources) == 1 and isinstance(sources[0], Registry):
        return sources[0]
    joined = Registry()
    for source in sources:
        if isinstance(source, Registry):
            found = tuple(source)
        elif callable(source):
            found = tuple(default_registry.part([source]))
            if not found and source in _of_other_registries:
                raise ValidationError(
                    f"permissions: {_name_of(source)} is in a Registry of its own: give that Registry"
                )
            if not found:
                joined.add_for_every_channel(source)
        else:
            raise ValidationError(f"permissions: a {type(source).__name__}, expected a function or a Registry")
        for permission in found:
            joined._put(permission)
    return joined


def _is_same(one: Permission, other: Permission) -> bool:
    """Whether it is the same pattern and function, or that function from an earlier load of its module."""
    return one.pattern == other.pattern and (
        one.function is other.function
        or (_name_of(one.function) == _name_of(other.function) and "<" not in _name_of(one.function))
    )


def _name_of(function: PermissionFunction) -> str:
    module = getattr(function, "__module__", None) or type(function).__module__
    return f"{module}.{getattr(function, '__qualname__', type(function).__qualname__)}"


def _check_callable(function: object, variables: tuple[str, ...], what: str) -> None:
    if not callable(function):
        raise ValidationError(f"{what}: a {type(function).__name__}, expected a function")
    name = _name_of(function)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ValidationError(f"{what}: {name} is a generator function, expected one that returns its answer")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # written in C: it is tried when it is called
    missing = ""
    try:
        signature.bind(object(), **dict.fromkeys(variables, ""))
    except TypeError as error:
        missing = str(error)
    if missing:
        expected = ", ".join(("user", *variables))
        raise ValidationError(f"{what}: {name} cannot be called with ({expected}): {missing}")
