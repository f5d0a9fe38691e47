"""``publish.delay_on_commit``: decide now, store when the transaction has committed.

No table and no relay: Django calls us back in this process. One that dies between the commit and that call
loses the event; the outbox does not (docs/transactions.md).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from ..publishing.call import PublishCall, bind
from ..publishing.prepare import prepare
from ..wiring.app import app_named

if TYPE_CHECKING:
    from .publish import PublishTask

__all__ = ["apply_async_on_commit"]


def apply_async_on_commit(
    task: PublishTask,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    using: str | None,
    robust: bool,
) -> str:
    """``task.apply_async(args, kwargs, **options)`` after the commit, of the event as it is now.

    Returns the message id. Raises what bad input and options that cannot be honoured raise,
    :class:`ConfigurationError` without Django, and, outside a transaction, what the call itself raises.
    """
    options = task.checked_options(options)
    call, message_id = _decided(bind(args, kwargs), options)

    def store_event() -> None:  # no `partial`: Django wants a name for its log when this fails under `robust`
        task.apply_async((), call.kwargs(), **{**options, "task_id": message_id})

    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.db import transaction
    except ImportError:
        raise ConfigurationError(
            "publish.delay_on_commit: needs Django (pip install 'sockudo-publisher[django]'); "
            "with SQLAlchemy there is sockudo_publisher.outbox.sqlalchemy"
        ) from None
    try:
        # `robust` is Django's: one failing callback leaves the others of its transaction to run, and is logged.
        transaction.on_commit(store_event, using=using, robust=robust)
    except ImproperlyConfigured:
        raise ConfigurationError(
            "publish.delay_on_commit: Django is not configured (DJANGO_SETTINGS_MODULE, DATABASES)"
        ) from None
    return message_id


def _decided(call: PublishCall, options: Mapping[str, Any]) -> tuple[PublishCall, str]:
    """The call with its data's final text, and its message id: what the caller changes afterwards changes nothing.

    The same text under the same id makes the same bytes at the commit, also where they are encrypted.
    """
    app = app_named(call.app)
    call = replace(call, data=app.encoder.payload(call.data))
    prepared = prepare(app, call, message_id=options.get("task_id"))
    channels = [item.channel for item in prepared.items]
    return (
        replace(
            call,
            channel=channels[0] if isinstance(call.channel, str) else channels,
            tags=copy.deepcopy(call.tags),
            extras=copy.deepcopy(call.extras),
        ),
        prepared.message_id,
    )
