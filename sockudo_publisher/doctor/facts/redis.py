"""Collect facts from Redis with read-only commands, each within a time limit. Decides nothing."""

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
from .redis_rights import collect_rights
from .rights import PARTS, UNNEEDED, rights_of
from .values import RedisFacts, RightsFacts

__all__ = ["collect_redis_facts"]

#: Seconds to connect, and for each answer.
ANSWER_S = 3.0


def collect_redis_facts(url: str, *, replicas_wanted: int = 0, namespace: str = "") -> RedisFacts:
    """Collect the facts of the Redis at ``url``, with the user's rights on the namespace's keys.

    Raises :class:`ConfigurationError` for a malformed URL.
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
        info = _run_if_allowed(client.info)
        config: dict[str, str] | None = None
        for name in ("appendfsync", "save"):
            values = _run_if_allowed(client.config_get, name)
            config = config if values is None else {**(config or {}), **values}
        return RedisFacts(
            info=info,
            config=config,
            ahead_s=_measure_clock(client),
            replicas_wanted=replicas_wanted,
            wait_denied=bool(replicas_wanted) and _is_wait_denied(client),
            rights=_collect_journal_rights(client, Keyspace(namespace)),
        )
    except AuthenticationError:
        return RedisFacts(failure="refuses the user or password", refused=True)
    except BusyLoadingError:
        return RedisFacts(failure="is loading its data, and takes no commands until then")
    except ResponseError as error:
        # Some versions of the client raise this for NOAUTH; an ACL may deny even PING.
        refused = any(word in f"{type(error).__name__} {error}" for word in ("NOAUTH", "NoPermission", "NOPERM"))
        return RedisFacts(
            failure="refuses the user or password" if refused else "answers with an error", refused=refused
        )
    except (RedisError, OSError) as error:
        return RedisFacts(failure=_describe_error(error))
    finally:
        client.close()


def _run_if_allowed(command: Any, *arguments: str) -> dict[str, Any] | None:
    """The command's answer, or ``None`` if it is denied or unknown (managed services rename CONFIG)."""
    try:
        answer: dict[str, Any] = command(*arguments)
    except AuthenticationError:
        raise
    except ResponseError:
        return None
    return answer


def _collect_journal_rights(client: Any, keyspace: Keyspace) -> RightsFacts:
    facts = collect_rights(client, UNNEEDED.union(*map(rights_of, PARTS)), keyspace.app("doctor").pause)
    return replace(facts, pattern=keyspace.pattern)


def _is_wait_denied(client: Any) -> bool:
    try:
        client.wait(0, 1)  # zero replicas: answers at once
    except NoPermissionError:
        return True
    return False


def _measure_clock(client: Any) -> float | None:
    """Seconds by which Redis' clock is ahead of this host's; ``None`` if TIME is denied."""
    before = time.time()
    try:
        seconds, micros = client.time()
    except ResponseError:
        return None
    return float(seconds + micros / 1e6 - (before + time.time()) / 2)


def _describe_error(error: Exception) -> str:
    """Describe an error without the URL, which may hold a secret."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, TimeoutError | redis.exceptions.TimeoutError):
            return f"no answer within {ANSWER_S:g} s"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return f"cannot be reached ({type(error).__name__})"
