"""Every error this package raises, in one tree.

.. code-block:: text

    Exception
    └── SockudoError
        ├── CallError                   a call failed; ``.sent`` tells whether an event may be out
        │   ├── SockudoHTTPError        the server answered, and not with success
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
        ├── JournalUnavailable          Redis refused, froze or answered with an error
        │   └── JournalUnreadable       Redis holds something else than the journal has written
        ├── BacklogFull                 the lane or Redis is full; nothing was stored
        ├── BulkError                   ``publish_many`` stopped; says what is stored
        └── InvalidWebhook              a webhook whose signature or body does not hold

The names of ``pusher`` are other names of these: ``PusherError`` (``SockudoError``),
``PusherBadRequest`` (``BadRequest``), ``PusherBadAuth`` (``AuthFailed``), ``PusherForbidden``
(``Forbidden``) and ``PusherBadStatus`` (``BadStatus``), each caught by the same ``except`` as there.
``pusher`` lets the errors of ``requests`` through where there is no answer; here these are a
``SockudoConnectionError``, and so a ``PusherError`` too. The client's are caught by
``except requests.exceptions.RequestException`` all the same (``client.no_answer``).

No message holds a payload or a secret. This module imports nothing of the package.
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
    """Root of everything this package raises on purpose."""

    def __reduce__(self) -> tuple[object, ...]:
        """Pickled whole, for process pools: the constructors below need more than the message."""
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(kind: type[SockudoError], args: tuple[object, ...], state: dict[str, object]) -> SockudoError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class CallError(SockudoError):
    """A call to Sockudo that did not succeed.

    ``sent``: ``False`` when certainly nothing was delivered, ``True`` when an event may have been; of
    all attempts of the call together. ``attempts``: how many there were. ``permanent``: the same call
    fails again until something is mended.

    Of ``trigger_batch`` alone: ``accepted``, how many events the server took for sure, the first ones;
    ``doubtful``, the indices after them that may be out. All others were not published. ``None`` elsewhere.
    """

    sent: bool
    permanent: bool = False
    attempts: int = 1
    accepted: int | None = None
    doubtful: range | None = None
    _earlier_sent: bool = False

    def after(self, attempts: int, *, earlier_sent: bool) -> None:
        """Let the error of the last attempt speak for all ``attempts``, of which an earlier one may have arrived."""
        self.attempts = attempts
        if earlier_sent and not self.sent:
            self.sent = self._earlier_sent = True

    def __str__(self) -> str:
        return self._words() + ("; an earlier attempt may have arrived" if self._earlier_sent else "")

    def _words(self) -> str:
        return super().__str__()


#: Answers given before anything is published: to a wrong address, signature, app or method, and by the rate limiter.
#: A 403 with a code of ``_AI_CODES`` is none of them.
_BEFORE_PUBLISHING = frozenset({401, 403, 404, 429})
#: How the codes begin by which Sockudo refuses one event of AI transport (its name ``ai-run-start`` and the like, or
#: ``extras.ai``) where that is off: 403, 400 or 413, when its turn in the batch has come.
_AI_CODES = "ai_"
#: Answers that say nothing about the request itself: a repeat may fare better.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class SockudoHTTPError(CallError):
    """The server answered with something else than success.

    ``status`` is the HTTP status, ``code`` Sockudo's machine code or ``None`` (text answers have
    none), ``message`` the server's words (shortened), ``retry_after`` seconds or ``None``.
    ``sent`` is what the answer proves about delivery: ``False`` for an answer given before anything
    is published (401, 404, 429, 403 without a code ``ai_…``, 503 ``draining``, a batch of too many,
    a body too large), for every refusal (4xx except 408, 409 and 499) of one event on one channel, and for what a
    query gets; ``True`` (unknown) for the others: a failed batch has delivered the items before the failing
    one (docs/server.md, 4.4), and one event on several channels may be out on some.
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
            # A long event name has the same code, and fails in the middle: only the words tell them apart.
            or (code == "limit_exceeded" and message.lower().startswith("batch size"))
        )
        self.permanent = status not in _PASSING

    def _words(self) -> str:
        return f"HTTP {self.status} {self.code or ''}: {self.message}".replace(" :", ":")


class BadRequest(SockudoHTTPError):
    """400."""


class AuthFailed(SockudoHTTPError):
    """401: signature, clock, or the key of another app."""


class Forbidden(SockudoHTTPError):
    """403: nothing happened; or, with a code ``ai_…``, one event needs AI transport, and those before it are out."""


class BadStatus(SockudoHTTPError):
    """Any other status than success, 400, 401 and 403."""


class NotFound(BadStatus):
    """404: also what an unknown app key answers."""


class PayloadTooLarge(BadStatus):
    """413: one event's data, or the whole body. Of a batch with a ``code``, the events before that one are out."""


class RateLimited(BadStatus):
    """429: nothing happened; see ``retry_after``."""


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

    ``sent`` is ``False`` when the request certainly never left (refused, DNS, connect timeout, TLS
    failure) and ``True`` when its fate is unknown (timeout or reset after sending). ``permanent``: no
    repeat will help, as with a certificate that is not accepted.
    """

    def __init__(self, message: str, *, sent: bool, permanent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.permanent = permanent


class ValidationError(SockudoError, ValueError):
    """Bad input, found at the caller before anything was stored or sent.

    ``index`` is the position of the bad event in a batch or in ``publish_many`` (else ``None``);
    ``stored`` how many events before it ``publish_many`` has stored. ``sent`` is ``False``.
    """

    sent = False

    def __init__(self, message: str, *, index: int | None = None, stored: int = 0) -> None:
        super().__init__(message)
        self.index = index
        self.stored = stored


class ConfigurationError(SockudoError, ValueError):
    """A missing or malformed setting. Names the setting and never echoes its value. ``sent`` is ``False``."""

    sent = False


class IdempotencyConflict(SockudoError, ValueError):
    """The ``key=`` was used before, within ``SOCKUDO_KEY_TTL``, with another payload."""

    def __init__(self, message: str, *, index: int | None = None, stored: int = 0) -> None:
        super().__init__(message)
        self.index = index
        self.stored = stored


class JournalUnavailable(SockudoError):
    """Redis refused, froze, or answered with an error; or the broker did, for a call that needs a message.

    ``stored`` is ``False`` when the event was certainly not stored, on no channel, and ``None`` when
    that is unknown, also where Redis failed in the middle of a script;
    ``publish.delay(..., key=exc.message_id)`` repeats it safely either way.
    ``stored_channels`` names the channels of a several-channel publish that are stored for sure.
    """

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
    """Redis works, and holds something else than the journal has written. The message names the key where it is known.

    Nothing is stored or sent by way of that key until a person has mended or deleted it.
    """


class BacklogFull(SockudoError):
    """The lane holds ``SOCKUDO_MAX_BACKLOG`` events, or Redis is at 90 % of its memory."""


class BulkError(SockudoError):
    """``publish_many`` stopped: all events before ``index`` are stored, some after it may be."""

    def __init__(self, index: int, stored: int, cause: Exception) -> None:
        super().__init__(f"stopped at event {index}, {stored} stored: {cause}")
        self.index = index
        self.stored = stored
        self.cause = cause


class InvalidWebhook(SockudoError):
    """The webhook's key, signature or body does not hold."""


# The names of ``pusher`` 3.3, for code that changes one import. There, PusherBadStatus is what is none of the others.
PusherError = SockudoError
PusherBadRequest = BadRequest
PusherBadAuth = AuthFailed
PusherForbidden = Forbidden
PusherBadStatus = BadStatus
