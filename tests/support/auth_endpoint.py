"""The authorization endpoint of examples/, for pages with pusher-js."""

from __future__ import annotations

import io
import threading
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, make_server

from examples.auth_endpoint import application
from sockudo_publisher import Sockudo

__all__ = ["AuthEndpoint"]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class AuthEndpoint:
    """The example's endpoint around ``client``, in a thread; keeps the forms that it was sent.

    Another ``client`` counts from the next request on, as after a new version of the application.
    """

    def __init__(self, client: Sockudo) -> None:
        self.forms: list[tuple[str, bytes]] = []
        self.client = client

        def recording(environ: Any, start_response: Any) -> Any:
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            self.forms.append((environ["PATH_INFO"], body))
            wsgi = application(self.client)
            return wsgi({**environ, "wsgi.input": io.BytesIO(body)}, start_response)

        self._server = make_server("127.0.0.1", 0, recording, handler_class=Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def channels(self) -> list[str]:
        """The channels that were asked for."""
        return [parse_qs(body.decode())["channel_name"][0] for path, body in self.forms if path == "/pusher/auth"]

    def __enter__(self) -> AuthEndpoint:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
