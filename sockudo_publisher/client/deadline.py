"""One deadline for a whole HTTP attempt: lookup, connect, handshake, request, head and body.

``requests`` and urllib3 bound each read, not the attempt: a peer that drips a byte a second can
stretch five seconds to hours. Here every socket operation is given what is left of the attempt.
The attempt also notes when the first byte of the request may have left, which is what tells *not
sent* from *unknown*. Imports requests, urllib3 and the standard library; knows nothing of Sockudo.

urllib3 hands nothing per request down to its connections, so the attempt travels in a context
variable: one per thread, and one per greenlet however late gevent was patched in.
"""

from __future__ import annotations

import http.client
import os
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.poolmanager import PoolManager

__all__ = [
    "MAX_INFORMATIONAL",
    "Attempt",
    "DeadlineAdapter",
    "attempt_until",
    "is_informational",
    "is_socks",
    "tls_context",
]

#: Informational answers before the one to a request; a server sends one or two, each is some kB at most.
MAX_INFORMATIONAL = 32


class Attempt:
    """One request under way.

    ``sent`` is ``None`` where nobody notes it; who uses our connections sets ``False`` before, and they
    set ``True`` when the first byte of the request may leave.
    """

    __slots__ = ("deadline", "sent")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.sent: bool | None = None

    def remaining(self) -> float:
        """Seconds left, always positive. Raises ``TimeoutError`` when there are none."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left


_attempt: ContextVar[Attempt | None] = ContextVar("sockudo_publisher_attempt", default=None)


@contextmanager
def attempt_until(deadline: float) -> Iterator[Attempt]:
    """Bound everything that our connections do inside by a ``time.monotonic()`` instant."""
    attempt = Attempt(deadline)
    token = _attempt.set(attempt)
    try:
        yield attempt
    finally:
        _attempt.reset(token)


def _remaining() -> float | None:
    """What a socket operation may take now; ``None`` (no bound) outside of any attempt."""
    attempt = _attempt.get()
    return None if attempt is None else attempt.remaining()


class _DeadlineSocket(socket.socket):
    """A TCP socket whose reads and writes end with the attempt.

    ``sendall`` bounds all of its writes by the one timeout; each read is a call of its own.
    """

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_remaining())
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(_remaining())
        super().sendall(*args, **kwargs)


class _DeadlineSSLSocket(ssl.SSLSocket):
    """The same over TLS, where ``sendall`` is a loop over ``send``."""

    def do_handshake(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(_remaining())
        super().do_handshake(*args, **kwargs)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_remaining())
        return super().recv_into(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_remaining())
        return super().send(*args, **kwargs)


def tls_context(verify: str | os.PathLike[str] | bool) -> ssl.SSLContext:
    """A client context, made once: loading the CA bundle at each connection would cost 10 ms and more.

    ``verify``: a CA file or directory, or ``True`` for the bundle that requests uses.
    """
    bundle = DEFAULT_CA_BUNDLE_PATH if verify is True or not verify else verify
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(bundle)
    except IsADirectoryError:
        context.load_verify_locations(capath=bundle)
    context.sslsocket_class = _DeadlineSSLSocket
    return context


def is_socks(proxy: str | None) -> bool:
    """Whether the proxy is one that urllib3 reaches by connections of its own."""
    return proxy is not None and proxy.lower().startswith("socks")


def is_informational(status: int) -> bool:
    """Whether an answer only comes before the one to the request (RFC 9110, 15.2): 100, 102, 103, and those to come.

    Not 101: we never ask for another protocol.
    """
    return 100 <= status < 200 and status != 101


class _FinalResponse(http.client.HTTPResponse):
    """A response that passes over informational ones: ``http.client`` itself does so for 100 alone."""

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MAX_INFORMATIONAL + 1):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status == 101:
                raise http.client.HTTPException("101: another protocol, which was not asked for")
            if not is_informational(status):
                return version, status, reason
            http.client.parse_headers(self.fp)  # bounded: 100 lines of 64 kB
            _remaining()
        raise http.client.HTTPException(f"more than {MAX_INFORMATIONAL} informational answers")


class _DeadlineMixin:
    """What both connection classes do differently from urllib3's."""

    response_class: Any = _FinalResponse
    _connecting = False

    def _new_conn(self: Any) -> socket.socket:
        try:
            return _connect(self._dns_host, self.port, self.source_address, self.socket_options)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "timed out") from error
        except OSError as error:
            raise NewConnectionError(self, f"failed: {error.strerror}") from error

    def connect(self: Any) -> None:
        self._connecting = True  # what a tunnel sends to its proxy is not the request
        try:
            super().connect()  # type: ignore[misc]
        finally:
            self._connecting = False

    def send(self: Any, data: Any) -> None:
        if self.sock is None:
            self.connect()
        attempt = _attempt.get()
        if attempt is not None and not self._connecting:
            attempt.sent = True
        super().send(data)  # type: ignore[misc]


class _DeadlineHTTPConnection(_DeadlineMixin, HTTPConnection):
    pass


class _DeadlineHTTPSConnection(_DeadlineMixin, HTTPSConnection):
    pass


class _DeadlineHTTPPool(HTTPConnectionPool):
    ConnectionCls = _DeadlineHTTPConnection


class _DeadlineHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _DeadlineHTTPSConnection


class DeadlineAdapter(HTTPAdapter):
    """A requests adapter for one server, whose connections keep to the attempt's deadline.

    Never sends a request twice and never follows a redirect. ``proxy``: URL of the proxy to go
    through, or ``None``. Connections through a SOCKS proxy are urllib3's own: there each read is
    bounded, and not the attempt.
    """

    def __init__(self, base_url: str, *, proxy: str | None = None, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        # One connection is in flight per session; Sockudo closes each, a proxy may keep one alive.
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)
        self._pool = self._manager(proxy).connection_from_url(base_url)

    def _manager(self, proxy: str | None) -> PoolManager:
        tls: dict[str, Any] = {} if self._context is None else {"ssl_context": self._context}
        if proxy is None:
            self.poolmanager = PoolManager(num_pools=1, maxsize=1, block=False, **tls)
            manager: PoolManager = self.poolmanager
        else:
            manager = self.proxy_manager_for(proxy, **tls)
            if is_socks(proxy):
                return manager
        manager.pool_classes_by_scheme = {"http": _DeadlineHTTPPool, "https": _DeadlineHTTPSPool}
        return manager

    def close(self) -> None:
        """Close the connections now. urllib3 leaves it to the collector, and a failure's traceback may hold them."""
        super().close()
        self._pool.close()

    def get_connection_with_tls_context(self, *_args: Any, **_kwargs: Any) -> HTTPConnectionPool:
        """The one pool of this adapter."""
        return self._pool

    def cert_verify(self, *_args: Any, **_kwargs: Any) -> None:
        """Nothing to do: the context holds the CA bundle already."""

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Only what is read later: no cookies, no guess at an encoding."""
        response = requests.Response()
        response.status_code = resp.status
        response.headers = resp.headers
        response.raw = resp
        response.request = req
        return response


def _connect(
    host: str, port: int, source_address: tuple[str, int] | None, options: list[tuple[int, int, int | bytes]] | None
) -> socket.socket:
    """Connect to the first address that accepts; each has its share of the time that is left."""
    attempt = _attempt.get()
    addresses = _addresses(host.strip("[]"), port)
    failure = OSError("no address")
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        connection = _DeadlineSocket(family, kind, protocol)
        try:
            for option in options or ():
                connection.setsockopt(*option)
            if source_address:
                connection.bind(source_address)
            left = None if attempt is None else attempt.remaining() / (len(addresses) - index)
            connection.settimeout(left)
            connection.connect(address)
            return connection
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
    raise failure


def _addresses(host: str, port: int) -> list[Any]:
    """Resolve a name within the attempt. ``getaddrinfo`` knows no timeout, so a thread waits for it."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (socket.gaierror, UnicodeError):
        pass  # a name
    answer: queue.SimpleQueue[list[Any] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answer.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except UnicodeError:
            answer.put(socket.gaierror(socket.EAI_NONAME, "not a host name"))
        except OSError as error:
            answer.put(error)

    try:
        # An abandoned lookup ends with the resolver's own timeout (5 s an attempt unless configured otherwise).
        threading.Thread(target=look_up, name="sockudo-lookup", daemon=True).start()
    except RuntimeError:
        look_up()  # no thread to be had, as when the interpreter shuts down
    try:
        result = answer.get(timeout=_remaining())
    except queue.Empty:
        raise TimeoutError("timed out") from None
    if isinstance(result, Exception):
        raise result
    return result
