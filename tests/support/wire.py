"""What a client puts on the wire, kept and checked by an independent reading of the signing rules."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote_plus, urlsplit

import requests

from sockudo_publisher.client.sockudo import Sockudo

SECRET = "the-secret"
APP = "/apps/app"


class Sent:
    """One request: its path as on the wire below the app, its own query decoded, its body as JSON."""

    def __init__(self, request: requests.PreparedRequest) -> None:
        parts = urlsplit(str(request.url))
        assert parts.path.startswith(APP + "/")
        pairs = [pair.partition("=") for pair in parts.query.split("&")]
        everything = {name: unquote_plus(value) for name, _, value in pairs}
        assert len(everything) == len(pairs), "a parameter twice"
        self.method = str(request.method)
        self.path = parts.path.removeprefix(APP)
        self.query = {name: value for name, value in everything.items() if not name.startswith(("auth_", "body_md5"))}
        self.headers = request.headers
        raw = request.body or b""
        self.body = raw.encode() if isinstance(raw, str) else bytes(raw)
        self._check_signature(parts.path, everything)

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    def _check_signature(self, path: str, everything: dict[str, str]) -> None:
        if self.method == "POST":
            assert everything["body_md5"] == hashlib.md5(self.body).hexdigest()
        else:
            assert "body_md5" not in everything, "Sockudo answers 401 to a digest with this method"
            assert self.body == b""
        signature = everything.pop("auth_signature")
        signed = "&".join(f"{name.lower()}={everything[name]}" for name in sorted(everything, key=str.lower))
        expected = hmac.digest(SECRET.encode(), f"{self.method}\n{path}\n{signed}".encode(), "sha256").hex()
        assert signature == expected


#: Of every query, the field that its answer cannot lack.
NOTHING = {"channels": {}, "occupied": False, "users": [], "items": [], "stream": {}, "members": [], "item": {}}


def least_answer(sent: Sent) -> dict[str, Any]:
    """The least that the client takes: all that a query may ask for, empty, and `{}` to everything else."""
    return NOTHING if sent.method == "GET" else {}


class Wire(requests.adapters.BaseAdapter):
    """Keeps every request of its `client`, and answers what `answer` says (a JSON value, or `(status, value)`)."""

    client: Sockudo

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Sent] = []
        self.answer: Callable[[Sent], Any] = least_answer

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        sent = Sent(request)
        self.sent.append(sent)
        value = self.answer(sent)
        response = requests.Response()
        response.status_code, value = value if isinstance(value, tuple) else (200, value)
        response._content = json.dumps(value).encode()
        return response

    def close(self) -> None:
        """Nothing is open."""

    @property
    def only(self) -> Sent:
        """The one request there was."""
        (sent,) = self.sent
        return sent


@contextlib.contextmanager
def wired(**options: Any) -> Iterator[Wire]:
    """A client whose requests go nowhere else."""
    wire = Wire()
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", wire)
        wire.client = Sockudo("app", "the-key", SECRET, session=session, **options)
        yield wire
