"""Applications of the web frameworks in this process, served over loopback, and requests to them."""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ["send", "serve_asgi", "serve_wsgi"]

#: Seconds for an answer, on a machine with a lot to do.
SOON_S = 60.0


@contextmanager
def serve_asgi(app: Any) -> Iterator[str]:
    """The application under uvicorn, in a thread; its URL."""
    import uvicorn

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="warning", lifespan="on", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                thread.join(0.02)
            assert server.started, "the application did not start"
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(SOON_S)


@contextmanager
def serve_wsgi(app: Any) -> Iterator[str]:
    """The application under Werkzeug's server, with a thread for each request; its URL."""
    from werkzeug.serving import WSGIRequestHandler as Handler
    from werkzeug.serving import make_server

    class Quiet(Handler):
        def log_request(self, *_: object) -> None:
            pass

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(SOON_S)
        server.server_close()


def send(
    url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, method: str | None = None
) -> tuple[int, Any, Mapping[str, str]]:
    """Status, JSON (or text) and headers of the answer."""
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=SOON_S) as response:
            return response.status, _content(response.read()), response.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _content(error.read()), error.headers


def _content(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
