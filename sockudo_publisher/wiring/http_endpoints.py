"""The small HTTP server of a worker or a relay: routes for probes and metrics, in a thread of its own.

One server a process. :func:`add_route` registers a path, before or after the server starts; :class:`EndpointServer`
serves ``GET`` and ``HEAD``. The number of requests at the same time and the seconds of each are bounded, so a client
that sends nothing keeps no other from an answer. Knows neither Celery nor Redis; ``http.server`` is loaded when a
server is made.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ..errors import ConfigurationError
from ..redaction import package_logger
from ..redaction.frame_locals import clear_locals

if TYPE_CHECKING:
    from http.server import HTTPServer

__all__ = ["EndpointAnswer", "EndpointRequest", "EndpointServer", "Handler", "add_route", "remove_route"]

logger = package_logger("sockudo_publisher.endpoints")

#: Requests that are answered at the same time; a further connection is closed at once.
MAX_REQUESTS = 8

#: Seconds that a client has to send its request, and to read the answer.
CLIENT_TIMEOUT_S = 5.0

#: Seconds between two looks of the server whether it has to end: bounds how long the end of a worker takes.
POLL_S = 0.1

#: Seconds to wait for the thread at the end.
STOP_S = 2.0


class EndpointRequest(NamedTuple):
    """``query``: what is behind ``?`` in the path, undecoded; ``headers``: by their names in lower case."""

    query: str = ""
    headers: Mapping[str, str] = {}


class EndpointAnswer(NamedTuple):
    """``status``: the HTTP status; ``body``: its bytes, of ``content_type``."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"

    def __repr__(self) -> str:
        return f"EndpointAnswer(status={self.status}, {len(self.body)} bytes, {self.content_type!r})"


#: Answers one request. It runs in a thread of the server, so it must be safe beside itself; an error that it raises is
#: logged and answered with 500.
Handler: TypeAlias = Callable[[EndpointRequest], EndpointAnswer]

#: Path -> handler, of this process. Replaced as a whole, so that a reader needs no lock.
_routes: dict[str, Handler] = {}


def add_route(path: str, handler: Handler) -> None:
    """Let ``GET path`` be answered by ``handler``, in place of an earlier one. Raises ``ValueError`` for a path."""
    global _routes  # noqa: PLW0603 -- the one place
    if not path.startswith("/") or "?" in path:
        raise ValueError("path: expected /name, without a query")
    _routes = {**_routes, path: handler}


def remove_route(path: str) -> None:
    """Forget the handler of a path, if it has one."""
    global _routes  # noqa: PLW0603 -- the one place
    _routes = {known: handler for known, handler in _routes.items() if known != path}


def answer_request(method: str, target: str, headers: Mapping[str, str]) -> EndpointAnswer:
    """The answer of this process' routes to one request; ``target``: path and query as they were sent."""
    path, _, query = target.partition("?")
    handler = _routes.get(path)
    if handler is None:
        return EndpointAnswer(404, b"not found\n")
    if method not in ("GET", "HEAD"):
        return EndpointAnswer(405, b"method not allowed\n")
    try:
        return handler(EndpointRequest(query, {name.lower(): value for name, value in headers.items()}))
    except Exception as error:
        clear_locals(error)
        logger.exception("endpoint failed path=%s", path)
        return EndpointAnswer(500, b"internal error\n")


class EndpointServer:
    """Serves the routes of this process at ``host:port`` (port 0: any free one), from :meth:`start` to :meth:`stop`.

    The port is taken at once. Raises :class:`ConfigurationError`, which names the variables, if it cannot be taken.
    A forked child closes its copy of the socket: a worker that is started anew finds the port free.
    """

    def __init__(self, host: str, port: int) -> None:
        failure = ""
        try:
            self._server: HTTPServer = _make_server(host, port)
        except (OSError, UnicodeError) as error:  # a host may be no name at all
            failure = getattr(error, "strerror", None) or type(error).__name__
        if failure:
            raise ConfigurationError(
                f"SOCKUDO_METRICS_PORT: cannot listen on port {port} of {host}: {failure}. Choose another port or "
                "SOCKUDO_METRICS_HOST, or leave SOCKUDO_METRICS_PORT out"
            )
        self._thread: threading.Thread | None = None
        os.register_at_fork(after_in_child=self._close_in_child)

    @property
    def port(self) -> int:
        """The port that is served."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": POLL_S}, name="sockudo-endpoints", daemon=True
        )
        self._thread.start()
        logger.info("endpoints served host=%s port=%d paths=%s", *self._server.server_address[:2], " ".join(_routes))

    def stop(self) -> None:
        """End the thread and free the port. Does nothing when it is called again."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join(timeout=STOP_S)
            self._thread = None
        self._server.server_close()

    def _close_in_child(self) -> None:
        self._server.socket.close()


def _make_server(host: str, port: int) -> HTTPServer:
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from socketserver import TCPServer

    class Exchange(BaseHTTPRequestHandler):
        timeout = CLIENT_TIMEOUT_S
        server_version = "sockudo-publisher"
        sys_version = ""

        def answer(self) -> None:
            answer = answer_request(self.command, self.path, dict(self.headers.items()))
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = answer  # noqa: N815 -- http.server's names

        def log_message(self, *_: Any) -> None:
            """Probes come every few seconds: no line for each."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        def __init__(self) -> None:
            self._slots = threading.BoundedSemaphore(MAX_REQUESTS)
            super().__init__((host, port), Exchange)

        def server_bind(self) -> None:
            """Without HTTPServer's look-up of the host's full name, which may take the resolver's timeout."""
            TCPServer.server_bind(self)
            self.server_name, self.server_port = host, self.server_address[1]

        def process_request(self, request: Any, client_address: Any) -> None:
            if self._slots.acquire(blocking=False):
                super().process_request(request, client_address)
            else:
                self.shutdown_request(request)

        def process_request_thread(self, request: Any, client_address: Any) -> None:
            try:
                super().process_request_thread(request, client_address)
            finally:
                self._slots.release()

        def handle_error(self, *_: Any) -> None:
            """A client that went away is no trouble of this process."""
            logger.debug("endpoint client went away")

    return Server()
