"""Secrets as objects that show nothing: no ``repr``, neither attributes nor dictionaries have the value.

Error trackers record the local variables of every frame of a traceback, some of them with the attributes of objects.
A secret is kept in a :class:`Secret` from the setting to its last use, and a :class:`SecretField` keeps a field of a
class so. Imports nothing of the package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["Secret", "SecretField", "keep_secret"]

T = TypeVar("T")
Class = TypeVar("Class", bound=type)


class Secret(Generic[T]):
    """A value that only :meth:`reveal` gives. Call it where the value is used, and keep the result in no variable."""

    __slots__ = ("reveal",)

    #: The value.
    reveal: Callable[[], T]

    def __init__(self, value: T) -> None:
        self.reveal = lambda: value  # a closure: an attribute could be read

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> tuple[Any, ...]:
        return Secret, (self.reveal(),)


class SecretField:
    """An attribute whose value is kept as a :class:`Secret` in the object's dictionary. ``None`` is kept as it is."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        try:
            value = instance.__dict__[self._name]
        except KeyError:
            raise AttributeError(f"{type(instance).__name__} object has no attribute {self._name!r}") from None
        return value.reveal() if type(value) is Secret else value

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self._name] = None if value is None else Secret(value)


def keep_secret(*names: str) -> Callable[[Class], Class]:
    """Decorator of a class: its attributes of these names are secret fields. Above ``@dataclass``, not below it."""

    def decorate(cls: Class) -> Class:
        for name in names:
            setattr(cls, name, SecretField(name))
        return cls

    return decorate
