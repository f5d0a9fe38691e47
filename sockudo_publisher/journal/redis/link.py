"""Connections to Redis: commands in one round trip, without retry; errors tell what was stored.

redis-py's own retry is off: a repeated append would be a second event. An error's ``stored`` is ``False`` if the
failure came before the first byte was sent, or if Redis answered an error; it is ``None`` (unknown) if the failure
came later, or if the error came from the middle of a script (:mod:`.refusal`).

This module takes no lock. A lock that another thread holds at a fork stays locked in the child for ever, and a signal
handler that publishes would wait for the code that it has interrupted.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import redis
from hiredis import pack_command
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoScriptError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from ... import faultpoint
from ...errors import JournalUnavailable
from ...redaction import without_credentials
from ...redaction.secret import Secret
from ..keys import Keyspace
from .refusal import checked, describe_refusal, error_words, is_out_of_memory
from .scripts import name_of, script, script_with
from .sent import MAX_EARLY_BYTES, Sent, plain_socket

__all__ = ["Command", "RedisLink", "checked", "error_words", "evalsha", "is_out_of_memory", "read_scores"]

Command: TypeAlias = tuple[Any, ...]

#: Idle connections that one process keeps: one for each thread that publishes at the same time.
MAX_FREE = 64

#: Seconds to connect, and to wait for an answer, in a caller's process (`delay`): both together stay under the two
#: seconds after which `delay` must have raised.
CALLER_TIMEOUT_S = 0.9

#: Seconds to connect, and to wait for an answer, in a worker: an AOF rewrite or a slow disk may stop
#: Redis for a second or two, and a holder must not lose the server's answer for that.
WORKER_TIMEOUT_S = 4.0

# A caller connects and waits once each before `delay` raises; a worker waits longer than any caller.
assert 2 * CALLER_TIMEOUT_S < 2.0
assert CALLER_TIMEOUT_S < WORKER_TIMEOUT_S


def evalsha(name: str, keys: Sequence[str], args: Sequence[Any]) -> Command:
    """The command that calls a script."""
    return ("EVALSHA", script(name).sha1, len(keys), *keys, *args)


def _with_text(command: Command) -> Command:
    """The same script call with the script's text; Redis knows the SHA-1 from then on."""
    known = script_with(command[1])
    assert known is not None, "called by evalsha"
    return ("EVAL", known.text, *command[2:])


class _Connections(NamedTuple):
    """The connection factory of one process, and its connections that are not in use."""

    pid: int
    # A function and not redis-py's pool, whose attributes include the password.
    make: Callable[[], Any]
    # redis-py's pool costs 35 us of a 190 us append (its locks, events and metrics). A list of free connections is
    # enough: list.append and list.pop are atomic.
    free: list[Any]


class RedisLink:
    """Connections to one Redis, made per process (a fork makes its own), shared by its threads.

    ``url`` as redis-py takes it; ``timeout_s`` bounds the connecting and each wait for an answer;
    ``keyspace`` names the keys of the deployment's ``namespace`` there.
    """

    def __init__(self, url: str, *, timeout_s: float, namespace: str = "") -> None:
        self.keyspace = Keyspace(namespace)
        self._url = Secret(url)
        self._timeout_s = timeout_s
        self._made: _Connections | None = None

    def __repr__(self) -> str:
        return f"<RedisLink timeout_s={self._timeout_s}>"

    def _connect(self) -> Any:
        """A connection that is not in use; one that Redis has closed meanwhile (it restarted) is replaced."""
        failure: JournalUnavailable | None = None
        try:
            made = self._made
            if made is None or made.pid != os.getpid():
                made = self._begin_process()
            try:
                connection = made.free.pop()
            except IndexError:
                # Not by the pool's own method: it never subtracts broken connections from its count, so that after a
                # hundred of them (redis-py 8) the process could not connect any more.
                connection = made.make()
                connection.connect()
            else:
                if _has_ended(connection):
                    connection.disconnect()
                    connection.connect()
        except (RedisError, OSError) as error:
            failure = self._unreachable("cannot be reached", error, stored=False)
        if failure is not None:
            raise failure  # out here, without redis-py's frames, which hold the password
        return connection

    def _begin_process(self) -> _Connections:
        """Make this process' factory; of two threads that make one at the same time, the last one's stays."""
        pool = redis.ConnectionPool.from_url(
            self._url.reveal(),
            socket_timeout=self._timeout_s,
            socket_connect_timeout=self._timeout_s,
            retry=Retry(NoBackoff(), 0),
            decode_responses=False,
            command_packer=_Packer(),
        )
        kind, options = pool.connection_class, pool.connection_kwargs
        _hide_password(options)  # in place: a connection of redis-py 8 keeps the pool, which keeps these
        # The parent's connections are dropped, not closed: their sockets belong to the parent.
        made = self._made = _Connections(os.getpid(), lambda: kind(**options), [])
        return made

    @property
    def _free(self) -> list[Any]:
        """The connections of this process that are not in use."""
        return [] if self._made is None else self._made.free

    def close(self) -> None:
        """Close the idle connections of this process; the next command connects again."""
        made = self._made
        while made is not None and made.pid == os.getpid() and made.free:
            try:
                connection = made.free.pop()
            except IndexError:  # another thread was faster
                break
            connection.disconnect()

    def _give_back(self, connection: Any) -> None:
        made = self._made
        if made is not None and len(made.free) < MAX_FREE:
            made.free.append(connection)
        else:
            connection.disconnect()

    def send(self, command: Command) -> Sent | None:
        """Send one command and wait for nothing: :meth:`run` with ``sent=`` reads the answer, in whatever thread.

        ``None``: nothing is sent, because that might take time (no idle connection, a large command) or its answer
        could not be seen to come (TLS).
        """
        made = self._made
        if made is None or made.pid != os.getpid():
            return None
        packed = _packed(command)
        if len(packed) > MAX_EARLY_BYTES:
            return None
        try:
            connection = made.free.pop()
        except IndexError:
            return None
        if plain_socket(connection) is None or _has_ended(connection):
            self._give_back(connection)
            return None
        if faultpoint.IS_ARMED:
            _at_scripts("before", [command])
        try:
            connection.send_packed_command([packed], check_health=False)
        except (RedisError, OSError):
            pass  # who reads the answer finds the connection ended
        except BaseException:
            connection.disconnect()
            raise
        return Sent(command, connection)

    def run(
        self,
        commands: Sequence[Command],
        *,
        in_order: bool = False,
        then: Command | None = None,
        sent: Sent | None = None,
    ) -> list[Any]:
        """Send commands in one round trip and return their answers; an error reply is a value.

        Scripts that Redis does not know are called again with their text. With ``in_order``, each command after the
        first of them is sent again too, because it must run after it: so it may run twice. Without ``in_order``, a
        command that has run is not sent again. ``then`` is one more command, sent again after all others;
        ``sent``: the first command is on its way (:meth:`send`). Raises :class:`JournalUnavailable` if the connection
        fails.
        """
        if then is not None:
            commands = [*commands, then]
        connection = self._connect() if sent is None else sent.connection
        if faultpoint.IS_ARMED and sent is None:
            _at_scripts("before", commands)
        failure: JournalUnavailable | None = None
        try:
            answers = _exchange(connection, commands) if sent is None else _answers(connection, len(commands))
            missing = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if missing:
                again = list(range(missing[0], len(commands))) if in_order else missing
                if then is not None and not in_order:
                    again.append(len(commands) - 1)
                repeated = _exchange(
                    connection, [_with_text(commands[i]) if commands[i][0] == "EVALSHA" else commands[i] for i in again]
                )
                for i, answer in zip(again, repeated, strict=True):
                    answers[i] = answer
        except (RedisError, OSError) as error:
            connection.disconnect()
            failure = self._unreachable("did not answer", error, stored=None)
        except BaseException:
            # A greenlet was killed, or a signal handler raised, between command and answer: the next user of this
            # connection would read this answer.
            connection.disconnect()
            raise
        if failure is not None:
            raise failure  # out here, without redis-py's frames, which hold what was sent
        self._give_back(connection)
        if faultpoint.IS_ARMED:
            _at_scripts("after", commands)
        return answers

    def _unreachable(self, what: str, error: Exception, *, stored: bool | None) -> JournalUnavailable:
        """An error with the URL, without its credentials, and the reason."""
        where = without_credentials(self._url.reveal())
        unavailable = JournalUnavailable(f"Redis {what}: {where}: {_reason(error, self._timeout_s)}", stored=stored)
        unavailable.is_unreachable = True
        return unavailable

    def call(self, *command: Any) -> Any:
        """Run one command; raises :class:`JournalUnavailable` for an error reply."""
        return checked(self.run([command])[0])

    def script(self, name: str, keys: Sequence[str], args: Sequence[Any] = ()) -> Any:
        """Run one script."""
        return self.call(*evalsha(name, keys, args))


def read_scores(answer: Sequence[Any]) -> list[tuple[str, int]]:
    """The members of a sorted set with their scores; RESP2 answers a flat list, RESP3 pairs."""
    pairs = answer if answer and isinstance(answer[0], list | tuple) else zip(answer[::2], answer[1::2], strict=True)
    # The journal's names are UTF-8: others are left out. Its times are milliseconds: larger numbers are cut.
    found = [(member.decode(errors="replace"), float(score)) for member, score in pairs]
    return [(member, int(max(-1e15, min(score, 1e15)))) for member, score in found if "\ufffd" not in member]


def _at_scripts(side: Literal["before", "after"], commands: Sequence[Command]) -> None:
    """Pass the crash points beside each script of a round trip, where a test may kill this process."""
    for command in commands:
        if command[0] == "EVALSHA":
            faultpoint.crash_point(f"{side} {name_of(command[1])}")


def _has_ended(connection: Any) -> bool:
    try:
        return bool(connection.can_read(timeout=0))  # between two calls only the end of the connection can be read
    except (RedisError, OSError):
        return True


def _exchange(connection: Any, commands: Sequence[Command]) -> list[Any]:
    # redis-py packs with the same function, after type checks that our arguments need not pass: 4 us of a 100 us call.
    connection.send_packed_command([b"".join(map(_packed, commands))], check_health=False)
    return _answers(connection, len(commands))


def _answers(connection: Any, count: int) -> list[Any]:
    answers: list[Any] = []
    for _ in range(count):
        try:
            answers.append(connection.read_response())
        except ResponseError as error:  # of this command; the other commands have their own answers
            answers.append(error)
    return answers


def _packed(command: Command) -> bytes:
    # hiredis 3.5 ends the process if a signal handler raises (Ctrl-C, a time limit) while it converts a number.
    parts: Any = tuple([part if isinstance(part, (str, bytes)) else str(part) for part in command])
    return bytes(pack_command(parts))


class _Credentials(CredentialProvider):
    """User and password for redis-py, whose connections keep this object as an attribute in place of the password."""

    def __init__(self, username: str, password: str) -> None:
        self._parts = Secret((username, password) if username else (password,))

    def get_credentials(self) -> Any:
        """(user, password) or (password,)."""
        return self._parts.reveal()


def _hide_password(options: dict[str, Any]) -> None:
    """Put user and password of redis-py's connections into one object that does not show them."""
    username, password = options.pop("username", None), options.pop("password", None)
    if username or password:
        options["credential_provider"] = _Credentials(username or "", password or "")


class _Packer:
    """Packs the commands that redis-py sends on a new connection (HELLO, SELECT, ...) in the same way."""

    def pack(self, name: str, *args: Any) -> list[bytes]:
        return [_packed((*name.split(), *args))]


#: Exceptions that redis-py wraps into one another, at most.
MAX_CAUSES = 5


def _reason(error: Exception, timeout_s: float) -> str:
    """Why Redis was not reached. redis-py's own text is not used: it may contain arguments."""
    if isinstance(error, AuthenticationError):
        return "refuses the user or password"
    if isinstance(error, BusyLoadingError):
        return "is loading its data, and accepts no commands until it has"
    if isinstance(error, (RedisTimeoutError, TimeoutError)):
        return f"no answer within {timeout_s:g} s"
    cause: BaseException | None = error
    for _ in range(MAX_CAUSES):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"TLS certificate not accepted, {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed, {cause.reason or 'no reason given'}"
        if isinstance(cause, socket.gaierror):
            return f"host not found, {cause.strerror}"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause and (cause.__cause__ or cause.__context__)
    return describe_refusal(error)
