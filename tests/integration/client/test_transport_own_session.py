"""One HTTP attempt through a session of the caller's own."""

import contextlib
import socket

import pytest
import requests
from urllib3.util import Retry

from sockudo_publisher.client.http.transport import Bounds, Transport
from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.errors import (
    AuthFailed,
    BadStatus,
    Forbidden,
    RateLimited,
    ServerError,
    SockudoHTTPError,
)
from tests.integration.client.attempts import (
    HEAD,
    HINT,
    INFORMATIONAL,
    OK,
    answer_ok,
    failure,
    hinting,
    post,
    reset,
    with_session,
)

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_proxies")]


def test_own_session_is_used_as_it_is(peer):
    """Its headers, hooks, cookies and auth; the signed URL stays as it was signed."""
    server = peer(answer_ok)
    seen = []
    with requests.Session() as session:
        session.headers["User-Agent"] = "theirs"
        session.hooks["response"].append(lambda response, **_: seen.append(response.status_code))
        session.cookies["c"] = "1"
        session.auth = ("user", "word")
        answer = with_session(server.port, session).request(
            "POST", "/apps/a/channels/../x%7Ey", query="b=%7E", body=b"{}", headers={"X-Ours": "1"}, timeout=5
        )
    request = server.requests[0][1]
    assert answer.body == b"{}"
    assert seen == [200]
    assert request.startswith(b"POST /apps/a/channels/../x%7Ey?b=%7E HTTP/1.1\r\n")
    for header in (b"User-Agent: theirs", b"X-Ours: 1", b"Cookie: c=1", b"Authorization: Basic "):
        assert header in request


def test_own_session_with_its_proxy_and_its_ca(peer, authority):
    """Proxies and verification are those of the session."""
    proxy = peer(answer_ok)
    with requests.Session() as session:
        session.trust_env = False
        session.proxies["http"] = f"http://127.0.0.1:{proxy.port}"
        assert post(Transport("http://sockudo.invalid:1", session=session)).status == 200
        server = peer(answer_ok, wrap=authority[1])
        failure(with_session(server.port, session, "https"), sent=False, timeout=30, within=30)
        session.verify = str(authority[0])
        assert post(with_session(server.port, session, "https"), timeout=5).status == 200


@pytest.mark.parametrize("before", INFORMATIONAL.values(), ids=INFORMATIONAL)
def test_own_session_passes_over_informational_answers(peer, before):
    """As ours do."""
    server = peer(hinting(before, pause=0.02))
    with requests.Session() as session:
        transport = with_session(server.port, session)
        for number in range(1, 4):
            answer = post(transport, timeout=5)
            assert (answer.status, answer.body) == (200, b"%02d" % number)
    assert len(server.requests) == 3


@pytest.mark.parametrize("before", [b"HTTP/1.1 101 Switching Protocols\r\n\r\n", HINT * 40], ids=["101", "too many"])
def test_own_session_is_told_of_an_answer_that_is_none(peer, before):
    """And the answer behind it is not taken for that to the next request."""
    server = peer(hinting(before))
    with requests.Session() as session:
        for _ in range(2):
            failure(with_session(server.port, session), sent=True)
    assert len(server.requests) == 2


def test_own_session_whose_hook_reads_sees_no_hint(peer):
    """A hook that reads the first answer would lose the final one."""
    server = peer(hinting(HINT))
    seen = []
    with requests.Session() as session:
        session.hooks["response"].append(lambda response, **_: seen.append(response.status_code))
        for _ in range(2):
            assert post(with_session(server.port, session)).status == 200
    assert seen == [200, 200]


class TakesHints(requests.adapters.BaseAdapter):
    """Connections of another library, which answer with the first answer that comes."""

    def __init__(self):
        super().__init__()
        self.closed = 0

    def send(self, request, **_options):
        response = requests.Response()
        response.status_code, response._content, response.request = 103, b"", request
        return response

    def close(self):
        self.closed += 1


def test_hint_in_place_of_an_answer_is_no_answer():
    """The outcome of the request is not known, and the connection is not used again."""
    adapter = TakesHints()
    with requests.Session() as session:
        session.mount("http://", adapter)
        failure(with_session(1, session), sent=True)
        assert adapter.closed == 1


def test_own_session_whose_hook_read_the_body(peer):
    """What it read is the answer."""
    server = peer(answer_ok)
    with requests.Session() as session:
        session.hooks["response"].append(lambda response, **_: response.content and None)
        assert post(with_session(server.port, session)).body == b"{}"


def test_own_adapter_is_asked(monkeypatch):
    """Any adapter will do, as tests and platforms mount them."""
    asked = []

    class Adapter(requests.adapters.BaseAdapter):
        def send(self, request, **options):
            asked.append((request.url, options["stream"], options["timeout"]))
            response = requests.Response()
            response.status_code, response._content = 200, b'{"channels":{}}'
            return response

        def close(self):
            pass

    with requests.Session() as session:
        session.mount("http://", Adapter())
        client = Sockudo("a", "k", "s", session=session, timeout=3)
        assert client.trigger("c", "e", "x") == {"channels": {}}
    (url, stream, timeout), *_ = asked
    assert url.startswith("http://127.0.0.1:6001/apps/a/events?auth_key=k&")
    assert (stream, timeout) == (True, (3, 3))


def test_own_session_has_its_body_bounded_in_time(peer):
    """Connect and each read by its timeouts, the body by the attempt's."""

    def handle(server, connection):
        server.read_request(connection)
        connection.sendall(HEAD)
        server.drip(connection, b"x" * 60)

    with requests.Session() as session:
        failure(with_session(peer(handle).port, session), sent=True)


def test_own_session_does_not_follow_redirects(peer):
    """A POST that becomes a GET publishes nothing."""

    def handle(server, connection):
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 302 X\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    server = peer(handle)
    with requests.Session() as session:
        assert post(with_session(server.port, session)).status == 302
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location", [b"http://[", b"http://x\xff\xfe/", b"//", b"http://a:b/", b"\xff", b"/elsewhere", b"http://[::1]:1/"]
)
def test_own_session_takes_a_redirect_to_anywhere_as_an_answer(peer, status, location):
    """requests works out the next request though none is asked for, and raises where there is no URL."""

    def handle(server, connection):
        server.read_request(connection)
        head = b"HTTP/1.1 %d X\r\nLocation: %b\r\nSet-Cookie: seen=1\r\nRetry-After: 3\r\n" % (status, location)
        connection.sendall(head + b"Content-Length: 5\r\nConnection: close\r\n\r\nmoved")

    server = peer(handle)
    seen = []
    with requests.Session() as session:
        session.hooks["response"].append(lambda response, **_: seen.append("location" in response.headers))
        client = Sockudo("a", "k", "s", port=server.port, session=session)
        with pytest.raises(BadStatus) as caught:
            client.trigger("c", "e", "x")
        assert session.cookies["seen"] == "1"
    assert (caught.value.status, caught.value.retry_after) == (status, 3.0)
    assert "5 bytes" in caught.value.message
    assert (caught.value.sent, caught.value.attempts) == (True, 1)
    assert seen == [True], "their hooks come first"
    assert len(server.requests) == 1


@pytest.mark.parametrize("head", [b"302 X\r\nLocation: /x", b"200 OK", b"503 No"])
def test_own_session_has_the_body_of_any_answer_bounded_in_size(peer, head):
    """A redirect's too, which requests would read to its end."""

    def handle(server, connection):
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 " + head + b"\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b"x" * 10_000)

    with requests.Session() as session:
        error = failure(with_session(peer(handle).port, session), sent=True, timeout=5, bounds=Bounds(100_000))
    assert "a body of more than 100000 bytes" in str(error)


def test_own_session_has_the_body_of_a_redirect_bounded_in_time(peer):
    """Dripping, it resets the timeout of each read."""

    def handle(server, connection):
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 302 X\r\nLocation: /x\r\nContent-Length: 60\r\n\r\n")
        server.drip(connection, b"x" * 60)

    with requests.Session() as session:
        failure(with_session(peer(handle).port, session), sent=True)


def raise_for_status(response, **_):
    """What many put into the hooks of their session."""
    response.raise_for_status()


REFUSED = {
    "429": (b"429 No", b'{"error":"slow","message":"down"}', RateLimited, None, False),
    "401": (b"401 No", b'{"error":"no","code":"auth_failed","status":401}', AuthFailed, "auth_failed", False),
    "403": (b"403 No", b'{"error":"no","code":"ai_event_not_permitted"}', Forbidden, "ai_event_not_permitted", False),
    "503": (b"503 No", b'{"error":"busy","code":"draining"}', ServerError, "draining", False),
    "500": (b"500 No", b"", ServerError, None, True),
}


@pytest.mark.parametrize("read_first", [False, True], ids=["unread", "read by a hook"])
@pytest.mark.parametrize(("status", "body", "kind", "code", "sent"), REFUSED.values(), ids=REFUSED.keys())
def test_own_session_whose_hook_raises_for_status(peer, status, body, kind, code, sent, read_first):
    """It has the answer in it, with status, code and Retry-After."""

    def handle(server, connection):
        server.read_request(connection)
        head = b"HTTP/1.1 %b\r\nRetry-After: 7\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        connection.sendall(head % (status, len(body)) + body)

    with requests.Session() as session:
        if read_first:
            session.hooks["response"].append(lambda response, **_: response if response.content else None)
        session.hooks["response"].append(raise_for_status)
        client = Sockudo("a", "the-key", "s", port=peer(handle).port, session=session, retries=None)
        with pytest.raises(SockudoHTTPError) as caught:
            client.trigger("c", "e", "x")
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, error.retry_after, error.sent) == (int(status[:3]), code, 7.0, sent)
    assert "the-key" not in repr(error) + str(error)
    assert error.__cause__ is error.__context__ is None


def test_own_session_whose_hook_raises_for_status_is_tried_again(peer):
    """As without the hook: what was answered before anything was published, after the time that was asked for."""

    def handle(server, connection):
        server.read_request(connection)
        if len(server.requests) == 1:
            connection.sendall(b"HTTP/1.1 429 No\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            connection.sendall(OK)

    server = peer(handle)
    with requests.Session() as session:
        session.hooks["response"].append(raise_for_status)
        assert Sockudo("a", "k", "s", port=server.port, session=session).trigger("c", "e", "x") == {}
    assert len(server.requests) == 2


def test_own_session_whose_hook_fails_at_something_else(peer):
    """A 401 of another program must not say that our event, which is out, was never sent."""
    server = peer(answer_ok)

    def refuse(server, connection):
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    elsewhere = peer(refuse)

    def ask_elsewhere(response, **_):
        requests.get(f"http://127.0.0.1:{elsewhere.port}/", timeout=5).raise_for_status()

    with requests.Session() as session:
        session.hooks["response"].append(ask_elsewhere)
        failure(with_session(server.port, session), sent=True)

    def veto(response, **_):
        raise requests.HTTPError("no", response=response)

    with requests.Session() as session:  # a success that a hook does not like is no success
        session.hooks["response"].append(veto)
        failure(with_session(server.port, session), sent=True)


def test_own_session_with_digest_authentication(peer):
    """A hook of requests' own that sends a second request; what it brings is what is read."""

    def handle(server, connection):
        if b"\r\nAuthorization: Digest " in server.read_request(connection):
            connection.sendall(
                b"HTTP/1.1 302 X\r\nLocation: http://[\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
            )
        else:
            challenge = b'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\nContent-Length: 0\r\n'
            connection.sendall(b"HTTP/1.1 401 X\r\n" + challenge + b"Connection: close\r\n\r\n")

    with requests.Session() as session:
        session.auth = requests.auth.HTTPDigestAuth("user", "word")
        assert post(with_session(peer(handle).port, session)).status == 302


def test_own_session_tells_sent_from_not_sent(peer):
    """Refused is not sent; silence and a reset are unknown."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    def cut(server, connection):
        server.read_request(connection)
        reset(connection)

    def silent(server, connection):
        server.read_request(connection)
        server.stopping.wait(10)

    with requests.Session() as session:
        failure(with_session(port, session), sent=False)
        failure(with_session(peer(cut).port, session), sent=True)
        failure(with_session(peer(silent).port, session), sent=True)


def test_own_session_that_resends_by_itself_is_taken_as_sent(peer):
    """The last of its attempts was refused; an earlier one may have been read."""

    def handle(server, connection):
        server.read_request(connection)
        server.listener.close()
        reset(connection)

    server = peer(handle)
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=Retry(2, allowed_methods=None)))
        failure(with_session(server.port, session), sent=True, timeout=2)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with requests.Session() as session:  # connects only are tried again: POST is not among its methods
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=2))
        failure(with_session(port, session), sent=False)
