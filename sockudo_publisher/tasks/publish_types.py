"""The types of ``publish``, for type checkers alone: whole with or without ``celery-types``.

Celery ships no types, so what comes from a class of Celery's is ``Any`` to a checker: ``publish.delay``, its
result, and every misspelt option. The package says here what ``publish`` is; ``tasks`` makes it.
A test holds the two to each other. Imports nothing at run time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn, TypedDict

if TYPE_CHECKING:
    from celery import Celery
    from celery.canvas import Signature
    from celery.result import AsyncResult
    from typing_extensions import Unpack

    from ..publishing.receipts import Receipt
else:
    AsyncResult = object

__all__ = ["Publish", "PublishOptions", "PublishResult", "publish", "register"]


class PublishOptions(TypedDict, total=False):
    """What ``publish.apply_async`` takes beside the event. ``None`` is as if not given."""

    countdown: float | None
    eta: datetime | str | None
    expires: float | datetime | str | None
    task_id: str | None
    # Where the message goes, and how.
    queue: str | None
    exchange: Any
    exchange_type: str | None
    routing_key: str | None
    route_name: str | None
    router: Any
    priority: int | None
    serializer: str | None
    compression: str | None
    headers: Mapping[str, Any] | None
    retry: bool | None
    retry_policy: Mapping[str, Any] | None
    connection: Any
    producer: Any
    publisher: Any
    confirm_timeout: float | None
    declare: Any
    delivery_mode: int | str | None
    expiration: float | None
    immediate: bool | None
    mandatory: bool | None
    timeout: float | None
    # The tasks around it.
    link: Any
    link_error: Any
    chain: Any
    chord: Any
    group_id: str | None
    group_index: int | None
    parent_id: str | None
    root_id: str | None
    reply_to: str | None
    add_to_parent: bool | None
    replaced_task_nesting: int | None
    stamped_headers: Sequence[str] | None
    # How a worker runs it.
    ignore_result: bool | None
    result_cls: Any
    retries: int | None
    time_limit: float | None
    soft_time_limit: float | None
    throw: bool | None
    logfile: str | None
    loglevel: int | str | None
    # What is shown of it.
    argsrepr: str | None
    kwargsrepr: str | None
    shadow: str | None
    # Properties of the message.
    app_id: str | None
    cluster_id: str | None
    correlation_id: str | None
    message_id: str | None
    task_type: Any
    timestamp: Any
    type: str | None
    user_id: str | None


class PublishResult(AsyncResult):  # type: ignore[misc]
    """A Celery result whose ``id`` and ``get()`` are the event's message id."""

    if TYPE_CHECKING:
        id: str

        def get(self, timeout: float | None = None, *args: Any, **options: Any) -> str:
            """The message id: at once where the event is stored, else when a worker has stored it."""

        def ready(self) -> bool:
            """Whether the event is stored, or refused."""

        def successful(self) -> bool:
            """Whether the event is stored."""

        def failed(self) -> bool:
            """Whether it was refused."""


class Publish:
    """``publish``: see ``sockudo_publisher.tasks.publish.PublishTask`` for what each call does and raises."""

    name: str
    app: Celery

    def __call__(
        self,
        channel: str | Sequence[str],
        event: str,
        data: Any,
        *,
        key: str | None = None,
        socket_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        extras: Mapping[str, Any] | None = None,
        app: str | None = None,
    ) -> Receipt:
        """Send it now, in this process."""
        raise NotImplementedError

    def delay(
        self,
        channel: str | Sequence[str],
        event: str,
        data: Any,
        *,
        key: str | None = None,
        socket_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        extras: Mapping[str, Any] | None = None,
        app: str | None = None,
    ) -> PublishResult:
        """Store an event. ``result.id`` is its message id."""
        raise NotImplementedError

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[PublishOptions],
    ) -> PublishResult:
        """Store an event now, or send it as a Celery message where an option needs one."""
        raise NotImplementedError

    def delay_on_commit(
        self,
        channel: str | Sequence[str],
        event: str,
        data: Any,
        *,
        key: str | None = None,
        socket_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        extras: Mapping[str, Any] | None = None,
        app: str | None = None,
        using: str | None = None,
        robust: bool = False,
    ) -> str:
        """As ``delay``, once Django's transaction has committed. Returns the message id."""
        raise NotImplementedError

    def apply_async_on_commit(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        using: str | None = None,
        robust: bool = False,
        **options: Unpack[PublishOptions],
    ) -> str:
        """As ``apply_async``, once Django's transaction has committed. Returns the message id."""
        raise NotImplementedError

    def s(self, *args: Any, **kwargs: Any) -> Signature:
        """A signature for a canvas; what is missing of the event comes from the task before."""
        raise NotImplementedError

    def si(self, *args: Any, **kwargs: Any) -> Signature:
        """A signature that takes nothing from the task before."""
        raise NotImplementedError

    def signature(self, args: Any = None, *starargs: Any, **starkwargs: Any) -> Signature:
        """A signature from a list of arguments and a mapping."""
        raise NotImplementedError

    subtask = signature

    def map(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not with ``publish``: use ``publish_many``."""
        raise NotImplementedError

    starmap = chunks = map


if TYPE_CHECKING:
    publish: Publish

    def register(app: Celery) -> Publish:
        """Let the workers of another Celery app run ``publish``."""
