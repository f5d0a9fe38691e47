"""``publish.delay_on_commit``: fix the event now, store it when Django's transaction has committed.

Uses no table and no relay: Django calls back in this process. A process that dies between the commit and that call
loses the event; the outbox does not (docs/transactions.md).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from ..config.settings import DEFAULT_APP
from ..errors import BacklogFull, ConfigurationError, IdempotencyConflict, JournalUnavailable
from ..publishing.call import PublishCall, bind
from ..publishing.prepare import prepare
from ..redaction import package_logger, printable
from ..wiring.app import app_named

__all__ = ["apply_async_on_commit"]

logger = package_logger("sockudo_publisher.tasks")

#: Channels of one event that a log line names; further ones are counted.
MAX_NAMED = 3


class PublishTask(Protocol):
    """The parts of the task ``publish`` that this module uses."""

    def check_call_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options of a call that is made later."""

    @property
    def apply_async(self) -> Callable[..., Any]:
        """Store the event, or send its message."""


def apply_async_on_commit(
    task: PublishTask,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    using: str | None,
    robust: bool,
) -> str:
    """``task.apply_async(args, kwargs, **options)`` after the commit, with the event as it is now.

    Returns the message id. Raises the errors of bad input and of options that cannot be honoured now,
    :class:`ConfigurationError` without Django, and, outside a transaction, the errors of the call itself.
    """
    options = task.check_call_options(options)
    call, message_id = _fix_call(bind(args, kwargs), options)

    def store_event() -> None:  # no `partial`: Django logs the function's name if it fails under `robust`
        try:
            task.apply_async((), call.kwargs(), **{**options, "task_id": message_id})
        except Exception as error:
            if robust:  # Django logs the error and goes on, but cannot say which event it was; else the caller gets it
                _log_not_stored(call, message_id, error)
            raise

    _run_on_commit(store_event, using, robust)
    return message_id


def _run_on_commit(store: Callable[[], None], using: str | None, robust: bool) -> None:
    """Call ``store`` when the transaction commits, at once if there is none. A recorder replaces this function."""
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.db import transaction
    except ImportError:
        raise ConfigurationError(
            "publish.delay_on_commit: needs Django (pip install 'sockudo-publisher[django]'); "
            "with SQLAlchemy use sockudo_publisher.outbox.sqlalchemy"
        ) from None
    try:
        # `robust` is Django's: a callback that fails is logged, and the others of its transaction still run.
        transaction.on_commit(store, using=using, robust=robust)
    except ImproperlyConfigured:
        raise ConfigurationError(
            "publish.delay_on_commit: Django is not configured (DJANGO_SETTINGS_MODULE, DATABASES)"
        ) from None


def _log_not_stored(call: PublishCall, message_id: str, error: Exception) -> None:
    """Log which event was not stored after its transaction committed, for a person to publish it again."""
    channels = call.channels()
    more = f",+{len(channels) - MAX_NAMED}" if len(channels) > MAX_NAMED else ""
    fields = {
        "app": call.app or DEFAULT_APP,
        "channel": ",".join(map(printable, channels[:MAX_NAMED])) + more,
        "event": printable(call.event),
        "message_id": printable(message_id),
        "error": type(error).__name__,
    }
    # An error of this package holds neither payload nor secret; another one may.
    known = (
        str(error)
        if isinstance(error, BacklogFull | JournalUnavailable | IdempotencyConflict | ConfigurationError)
        else "-"
    )
    logger.error(
        "event not stored after the commit app=%s channel=%s event=%s message_id=%s error=%s: %s",
        *(*fields.values(), known),
        extra=fields,
    )


def _fix_call(call: PublishCall, options: Mapping[str, Any]) -> tuple[PublishCall, str]:
    """The call with the final text of its data, and its message id. Later changes by the caller have no effect.

    The same text under the same id makes the same bytes at the commit, encrypted ones too.
    """
    app = app_named(call.app)
    call = replace(call, data=app.encoder.payload(call.data))
    prepared = prepare(app, call, message_id=options.get("task_id"))
    channels = [item.channel for item in prepared.items]
    return (
        replace(
            call,
            channel=channels if len(channels) > 1 else channels[0],
            user_id=None,  # the channel is the user's
            tags=copy.deepcopy(call.tags),
            extras=copy.deepcopy(call.extras),
        ),
        prepared.message_id,
    )
