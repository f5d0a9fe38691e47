"""Tools that record or answer HTTP in the tests of applications: they see the client's calls as any others."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import requests_mock
import responses
import trustme
import vcr
from vcr.errors import CannotOverwriteExistingCassetteException

from sockudo_publisher import Event, Sockudo, SockudoConnectionError
from sockudo_publisher.dev.embedded import SockudoServer

from .conftest import Peer

pytestmark = pytest.mark.integration

#: What the page says: a signature is another one each second, and secrets stay out of cassettes.
SIGNED = ["auth_key", "auth_timestamp", "auth_signature", "body_md5"]


@pytest.fixture(params=[False, True], ids=["own connections", "a caller's session"])
def make(request: pytest.FixtureRequest) -> Any:
    """``make(url, **options)``: a client of either kind."""
    with contextlib.ExitStack() as ends:

        def make(url: str, **options: Any) -> Sockudo:
            if request.param:
                options["session"] = ends.enter_context(requests.Session())
            return ends.enter_context(Sockudo.from_url(url, **options))

        yield make


def calls(client: Sockudo) -> list[Any]:
    return [
        client.trigger("recorded", "e", "x", message_id="one"),
        client.trigger_batch([Event("recorded", "e", "x", key="two")]),
        client.channels_info("recorded"),
    ]


def test_vcr_records_and_replays(make: Callable[..., Sockudo], sockudo: SockudoServer, tmp_path: Path) -> None:
    """Once recorded, no server is needed; and after the cassette, calls go out again."""
    cassette = str(tmp_path / "calls.yaml")
    client = make(sockudo.url, retries=0)
    client.trigger("recorded", "e", "before")  # its connections are known already
    with vcr.use_cassette(cassette, filter_query_parameters=SIGNED):
        recorded = calls(client)
    text = Path(cassette).read_text()
    assert text.count("uri:") == 3
    assert sockudo.apps[0].key not in text
    gone = make(sockudo.url, retries=0)
    with vcr.use_cassette(cassette, record_mode="none", filter_query_parameters=SIGNED) as played:
        assert calls(gone) == recorded
        assert played.all_played
        with pytest.raises(CannotOverwriteExistingCassetteException):
            gone.trigger("recorded", "e", "never recorded")
    assert gone.trigger("recorded", "e", "x", message_id="three")["channels"]


def test_vcr_records_and_replays_tls(
    make: Callable[..., Sockudo], peer: Callable[..., Peer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over https too."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def handle(server: Peer, connection: Any) -> None:
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

    server = peer(handle, wrap=lambda connection: context.wrap_socket(connection, server_side=True))
    client = make(f"https://k:s@127.0.0.1:{server.port}/apps/a", retries=0)
    for count in (1, 1):
        with vcr.use_cassette(str(tmp_path / "tls.yaml"), filter_query_parameters=SIGNED):
            assert client.trigger("c", "e", "x") == {}
        assert len(server.requests) == count
    client.trigger("c", "e", "x")
    assert len(server.requests) == 2


def test_vcr_keeps_what_is_told_of_a_failure(make: Callable[..., Sockudo], tmp_path: Path) -> None:
    """A server that is not there, met while recording."""
    client = make("http://k:s@127.0.0.1:1/apps/a", retries=0)
    with vcr.use_cassette(str(tmp_path / "none.yaml")), pytest.raises(SockudoConnectionError) as caught:
        client.trigger("c", "e", "x")
    assert caught.value.sent is False


def test_responses_answers(make: Callable[..., Sockudo]) -> None:
    """Registered without the query that signs."""
    client = make("http://k:s@nowhere.invalid/apps/a", retries=0)
    with responses.RequestsMock() as mocked:
        mocked.post("http://nowhere.invalid:80/apps/a/events", json={"channels": {"c": {}}})
        assert client.trigger("c", "e", "x", message_id="1") == {"channels": {"c": {}}}
        mocked.get("http://nowhere.invalid:80/apps/a/channels", json={"channels": {}})
        assert client.channels_info() == {"channels": {}}
        mocked.post("http://nowhere.invalid:80/apps/a/batch_events", body=requests.exceptions.ReadTimeout("late"))
        with pytest.raises(SockudoConnectionError) as caught:
            client.trigger_batch([("c", "e", "x")])
        assert caught.value.sent is True, "unknown: a stand-in records nothing"


def test_requests_mock_answers(make: Callable[..., Sockudo]) -> None:
    """In the same way."""
    client = make("http://k:s@nowhere.invalid/apps/a", retries=0)
    with requests_mock.Mocker() as mocked:
        mocked.post("http://nowhere.invalid:80/apps/a/events", json={"channels": {"c": {}}})
        assert client.trigger("c", "e", "x", message_id="1") == {"channels": {"c": {}}}
        mocked.get("http://nowhere.invalid:80/apps/a/channels", json={"channels": {}})
        assert client.channels_info() == {"channels": {}}
        mocked.post("http://nowhere.invalid:80/apps/a/batch_events", exc=requests.exceptions.ReadTimeout)
        with pytest.raises(SockudoConnectionError) as caught:
            client.trigger_batch([("c", "e", "x")])
        assert caught.value.sent is True
