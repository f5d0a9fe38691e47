"""Every error this package raises, in one tree.

.. code-block:: text

    Exception
    └── SockudoError
        ├── CallError                   a call failed; ``.sent``: an event may have been delivered
        │   ├── SockudoHTTPError        the server answered with an error
        │   │   ├── BadRequest         400
        │   │   ├── AuthFailed         401
        │   │   ├── Forbidden          403
        │   │   └── BadStatus          any other
        │   │       ├── NotFound           404
        │   │       ├── PayloadTooLarge    413
        │   │       ├── RateLimited        429
        │   │       └── ServerError        5xx
        │   └── SockudoConnectionError  no answer
        ├── ValidationError (ValueError)    the caller's input; nothing was stored or sent
        ├── ConfigurationError (ValueError) a setting; names the variable, never its value
        ├── IdempotencyConflict (ValueError) a ``key=`` used before with another payload
        ├── JournalUnavailable          Redis is unreachable, froze or answered with an error
        │   └── JournalUnreadable       a key in Redis holds data that the journal did not write
        ├── BacklogFull                 the lane or Redis is full; nothing was stored
        ├── BulkError                   ``publish_many`` stopped; ``.stored``: how many are stored
        └── InvalidWebhook              a webhook with a wrong key, signature or body

The names of ``pusher`` are aliases: ``PusherError`` (``SockudoError``), ``PusherBadRequest`` (``BadRequest``),
``PusherBadAuth`` (``AuthFailed``), ``PusherForbidden`` (``Forbidden``) and ``PusherBadStatus`` (``BadStatus``). An
``except`` that was written for ``pusher`` catches the same errors. If no answer comes, ``pusher`` raises the errors of
``requests``; this package raises ``SockudoConnectionError``, which is a ``PusherError`` too. The client's errors are
also caught by ``except requests.exceptions.RequestException`` (``client.http.no_answer``).

No message contains a payload or a secret, and none has a control character or a line end: names are shown with escapes.
This module imports nothing of the package at its import.
"""

from __future__ import annotations

__all__ = [
    "AuthFailed",
    "BacklogFull",
    "BadRequest",
    "BadStatus",
    "BulkError",
    "CallError",
    "ConfigurationError",
    "Forbidden",
    "IdempotencyConflict",
    "InvalidWebhook",
    "JournalUnavailable",
    "JournalUnreadable",
    "NotFound",
    "PayloadTooLarge",
    "PusherBadAuth",
    "PusherBadRequest",
    "PusherBadStatus",
    "PusherError",
    "PusherForbidden",
    "RateLimited",
    "ServerError",
    "SockudoConnectionError",
    "SockudoError",
    "SockudoHTTPError",
    "ValidationError",
    "error_for_status",
]


class SockudoError(Exception):
    """Base class of all errors of this package."""

    def __str__(self) -> str:
        """The message, printable: it may quote a channel or another name."""
        text = self._text()
        if text.isprintable():
            return text
        from .redaction import printable

        return printable(text)

    def _text(self) -> str:
        return super().__str__()

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle all attributes, for process pools: the constructors below need more than the message."""
        return _rebuild_error, (type(self), self.args, self.__dict__)


def _rebuild_error(kind: type[SockudoError], args: tuple[object, ...], state: dict[str, object]) -> SockudoError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class CallError(SockudoError):
    """A call to Sockudo that failed.

    ``sent``: ``False`` if certainly nothing was delivered, ``True`` if an event may have been, in any attempt of the
    call. ``attempts``: the number of attempts. ``permanent``: the same call fails again until its cause is fixed.

    Only for ``trigger_batch``, else ``None``: ``accepted``, the number of events, from the first on, that the server
    accepted for sure; ``doubtful``, the indices after them that may have been published. The others were not.
    """

    sent: bool
    permanent: bool = False
    attempts: int = 1
    accepted: int | None = None
    doubtful: range | None = None
    _earlier_sent: bool = False

    def cover_attempts(self, attempts: int, *, earlier_sent: bool) -> None:
        """Make this error describe all ``attempts``. ``earlier_sent``: an attempt before the last may have arrived."""
        self.attempts = attempts
        if earlier_sent and not self.sent:
            self.sent = self._earlier_sent = True

    def __str__(self) -> str:
        return super().__str__() + ("; an earlier attempt may have arrived" if self._earlier_sent else "")


#: Statuses that the server gives before it publishes anything: wrong address, signature, app or method, rate limit.
#: Except a 403 with a code of ``_AI_CODES``.
_BEFORE_PUBLISHING = frozenset({401, 403, 404, 429})
#: Prefix of the codes with which Sockudo refuses an event of AI transport (a name such as ``ai-run-start``, or
#: ``extras.ai``) where that is off: 403, 400 or 413, after the events before it in the batch were published.
_AI_CODES = "ai_"
#: Statuses whose cause is not the request itself: a repeat may succeed.
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})


class SockudoHTTPError(CallError):
    """The server answered with an error.

    ``status`` is the HTTP status, ``code`` Sockudo's machine code or ``None`` (text answers have none), ``message`` the
    server's error text if it is one of Sockudo's own, without the names and values that it quotes; for any other text
    its type and size (``show_answers=True`` of the client gives all of it, shortened). ``retry_after``: seconds or
    ``None``.

    ``sent`` is what the answer proves about delivery. ``False``: the server answers so before it publishes anything
    (401, 404, 429, 403 without a code ``ai_…``, 503 ``draining``, a batch with too many events, a body too large); or
    it refused one event on one channel (4xx except 408, 409 and 499); or the call was a query. ``True``: unknown. A
    failed batch has delivered the items before the failing one (docs/server.md, 4.4), and one event on several channels
    may be delivered on some of them.
    """

    def __init__(
        self, status: int, code: str | None = None, message: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(status, code, message, retry_after)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.sent = not (
            (status in _BEFORE_PUBLISHING and not (status == 403 and code is not None and code.startswith(_AI_CODES)))
            or (status, code) == (503, "draining")
            # A long event name has the same code, and fails in the middle of a batch: only the text differs.
            or (code == "limit_exceeded" and message.lower().startswith("batch size"))
        )
        self.permanent = status not in _TEMPORARY

    def _text(self) -> str:
        return f"HTTP {self.status} {self.code or ''}: {self.message}".replace(" :", ":")


class BadRequest(SockudoHTTPError):
    """400."""


class AuthFailed(SockudoHTTPError):
    """401: signature, clock, or the key of another app."""


class Forbidden(SockudoHTTPError):
    """403: nothing was published. With a code ``ai_…``: one event needs AI transport; those before it are published."""


class BadStatus(SockudoHTTPError):
    """Any other status than success, 400, 401 and 403."""


class NotFound(BadStatus):
    """404: also the answer to an unknown app key."""


class PayloadTooLarge(BadStatus):
    """413: one event's data, or the whole body, is too large. With a ``code``, a batch's earlier events are out."""


class RateLimited(BadStatus):
    """429: nothing was published; see ``retry_after``."""


class ServerError(BadStatus):
    """5xx: unknown whether the event was delivered."""


_BY_STATUS: dict[int, type[SockudoHTTPError]] = {
    400: BadRequest,
    401: AuthFailed,
    403: Forbidden,
    404: NotFound,
    413: PayloadTooLarge,
    429: RateLimited,
}


def error_for_status(status: int, code: str | None, message: str, retry_after: float | None = None) -> SockudoHTTPError:
    """The error class that belongs to an HTTP status."""
    kind = _BY_STATUS.get(status, ServerError if status >= 500 else BadStatus)
    return kind(status, code, message, retry_after)


class SockudoConnectionError(CallError):
    """No usable answer came.

    ``sent`` is ``False`` if the request certainly never left (refused, DNS, connect timeout, TLS failure) and ``True``
    if its result is unknown (timeout or reset after sending). ``permanent``: a repeat fails too, as with a certificate
    that is not accepted.
    """

    def __init__(self, message: str, *, sent: bool, permanent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.permanent = permanent


class ValidationError(SockudoError, ValueError):
    """Invalid input of the caller; nothing was stored or sent.

    ``index`` is the position of the invalid event in a batch or in ``publish_many`` (else ``None``); ``stored`` the
    number of events before it that ``publish_many`` has stored. ``sent`` is ``False``.
    """

    sent = False

    def __init__(self, message: str, *, index: int | None = None, stored: int = 0) -> None:
        super().__init__(message)
        self.index = index
        self.stored = stored


class ConfigurationError(SockudoError, ValueError):
    """A missing or malformed setting. The message names the setting and never its value. ``sent`` is ``False``."""

    sent = False


class IdempotencyConflict(SockudoError, ValueError):
    """The ``key=`` was used before, within ``SOCKUDO_KEY_TTL``, with another payload."""

    def __init__(self, message: str, *, index: int | None = None, stored: int = 0) -> None:
        super().__init__(message)
        self.index = index
        self.stored = stored


class JournalUnavailable(SockudoError):
    """Redis is unreachable, froze, or answered with an error; or the broker, for a call that needs a message.

    ``stored`` is ``False`` if the event was certainly not stored on any channel, and ``None`` if that is unknown, for
    example because Redis failed in the middle of a script. ``publish.delay(..., key=exc.message_id)`` repeats the call
    safely in both cases. ``stored_channels`` names the channels of a publish for which the event is stored for sure.
    ``is_unreachable``: Redis could not be reached or did not answer, so that other calls fail too.
    """

    is_unreachable: bool = False

    def __init__(
        self,
        message: str,
        *,
        stored: bool | None,
        message_id: str | None = None,
        stored_channels: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.stored = stored
        self.message_id = message_id
        self.stored_channels = stored_channels


class JournalUnreadable(JournalUnavailable):
    """A key in Redis holds data that the journal did not write. The message names the key if it is known.

    Nothing is stored or sent through that key until an operator has repaired or deleted it.
    """


class BacklogFull(SockudoError):
    """The lane holds ``SOCKUDO_MAX_BACKLOG`` events, ``SOCKUDO_MAX_SCHEDULED`` are scheduled, or Redis is at 90 %."""


class BulkError(SockudoError):
    """``publish_many`` stopped. All events before ``index`` are stored; some after it may be stored."""

    def __init__(self, index: int, stored: int, cause: Exception) -> None:
        super().__init__(f"stopped at event {index}, {stored} stored: {cause}")
        self.index = index
        self.stored = stored
        self.cause = cause


class InvalidWebhook(SockudoError):
    """The webhook's key, signature or body is wrong."""


# The names of ``pusher`` 3.3, for code that changes one import. There, PusherBadStatus is for all other statuses.
PusherError = SockudoError
PusherBadRequest = BadRequest
PusherBadAuth = AuthFailed
PusherForbidden = Forbidden
PusherBadStatus = BadStatus
