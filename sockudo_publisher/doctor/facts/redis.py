"""Ask Redis about itself: a handful of reading commands, each within a time limit. Decides nothing."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, BusyLoadingError, NoPermissionError, RedisError, ResponseError
from redis.retry import Retry

from ...errors import ConfigurationError
from ...journal.keys import Keyspace
from .redis_rights import look_at_rights
from .rights import PARTS, UNNEEDED, rights_of
from .values import RedisFacts, RightsFacts

__all__ = ["look_at_redis"]

#: Seconds to connect, and for each answer.
ANSWER_S = 3.0


def look_at_redis(url: str, *, replicas_wanted: int = 0, namespace: str = "") -> RedisFacts:
    """What the Redis of this URL says, of the rights on the namespace's keys too.

    Raises :class:`ConfigurationError` for a URL that is none.
    """
    try:
        client = redis.Redis.from_url(
            url,
            socket_timeout=ANSWER_S,
            socket_connect_timeout=ANSWER_S,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError:
        raise ConfigurationError("SOCKUDO_REDIS_URL: expected redis(s)://[user:password@]host:port/database") from None
    try:
        client.ping()
        info = _told(client.info)
        config: dict[str, str] | None = None
        for name in ("appendfsync", "save"):
            told = _told(client.config_get, name)
            config = config if told is None else {**(config or {}), **told}
        return RedisFacts(
            info=info,
            config=config,
            ahead_s=_ahead_s(client),
            replicas_wanted=replicas_wanted,
            wait_denied=bool(replicas_wanted) and _is_wait_denied(client),
            rights=_rights(client, Keyspace(namespace)),
        )
    except AuthenticationError:
        return RedisFacts(failure="refuses the user or password", refused=True)
    except BusyLoadingError:
        return RedisFacts(failure="is loading its data, and takes no commands until then")
    except ResponseError as error:
        # NOAUTH comes as this with some versions of the client; an ACL may deny even PING.
        refused = any(word in f"{type(error).__name__} {error}" for word in ("NOAUTH", "NoPermission", "NOPERM"))
        return RedisFacts(
            failure="refuses the user or password" if refused else "answers with an error", refused=refused
        )
    except (RedisError, OSError) as error:
        return RedisFacts(failure=_words(error))
    finally:
        client.close()


def _told(ask: Any, *arguments: str) -> dict[str, Any] | None:
    """The answer, or ``None`` where the command is denied or unknown (managed services rename CONFIG)."""
    try:
        answer: dict[str, Any] = ask(*arguments)
    except AuthenticationError:
        raise
    except ResponseError:
        return None
    return answer


def _rights(client: Any, keyspace: Keyspace) -> RightsFacts:
    facts = look_at_rights(client, UNNEEDED.union(*map(rights_of, PARTS)), keyspace.app("doctor").pause)
    return replace(facts, pattern=keyspace.pattern)


def _is_wait_denied(client: Any) -> bool:
    try:
        client.wait(0, 1)  # for no replica: it answers at once
    except NoPermissionError:
        return True
    return False


def _ahead_s(client: Any) -> float | None:
    before = time.time()
    try:
        seconds, micros = client.time()
    except ResponseError:
        return None
    return float(seconds + micros / 1e6 - (before + time.time()) / 2)


def _words(error: Exception) -> str:
    """What happened, in words that hold no URL."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, TimeoutError | redis.exceptions.TimeoutError):
            return f"no answer within {ANSWER_S:g} s"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return f"cannot be reached ({type(error).__name__})"
