"""Sockudo under a path of a proxy's that strips it: what is signed is what Sockudo sees."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from scripts.stack import find_nginx
from sockudo_publisher import BadStatus, Event, Sockudo
from sockudo_publisher.dev.embedded import SockudoServer
from sockudo_publisher.dev.embedded.ports import free_port
from tests.support.stack import SubscriberFactory

pytestmark = pytest.mark.integration

CONFIG = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  server {{
    listen 127.0.0.1:{port};
    {location}
  }}
}}
"""

# How nginx strips a prefix; the first two decode and encode the path on the way.
STRIPPING = {
    "a URI behind proxy_pass": "location /ws/v1/ {{ proxy_pass http://127.0.0.1:{upstream}/; }}",
    "rewrite": "location /ws/v1/ {{ rewrite ^/ws/v1(/.*)$ $1 break; proxy_pass http://127.0.0.1:{upstream}; }}",
    "the path as it came": (
        'location /ws/v1/ {{ if ($request_uri ~ "^/ws/v1(/.*)$") {{ proxy_pass http://127.0.0.1:{upstream}$1; }} }}'
    ),
}
Begin = Callable[[str], str]


@pytest.fixture
def nginx(full_sockudo: SockudoServer, tmp_path: Path) -> Iterator[Begin]:
    """``nginx(location)``: one in front of the server; answers ``http://127.0.0.1:port``."""
    with contextlib.ExitStack() as ends:

        def begin(location: str) -> str:
            port = free_port()
            text = location.format(upstream=full_sockudo.port)
            file = tmp_path / "nginx.conf"
            file.write_text(CONFIG.format(directory=tmp_path, port=port, location=text))
            process = subprocess.Popen([str(find_nginx()), "-c", str(file), "-p", str(tmp_path)])
            ends.callback(process.wait, 10)
            ends.callback(process.terminate)
            deadline = time.monotonic() + 20
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    return f"127.0.0.1:{port}"
                assert process.poll() is None, (tmp_path / "error.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)

        yield begin


@pytest.mark.parametrize("location", STRIPPING.values(), ids=STRIPPING.keys())
@pytest.mark.parametrize("own_session", [False, True], ids=["own connections", "a caller's session"])
def test_calls_pass_a_proxy_that_strips(
    nginx: Begin, full_sockudo: SockudoServer, subscriber: SubscriberFactory, location: str, own_session: bool
) -> None:
    """Publishes and queries, also of channels whose names a URL may escape."""
    app = full_sockudo.apps[0]
    channel = f"prefix-{uuid.uuid4().hex}@b,c;d=e.f"  # subscribers of the test before may still be there
    seen = subscriber(full_sockudo, channel)
    url = f"http://{app.key}:{app.secret}@{nginx(location)}/ws/v1/apps/{app.id}"
    with requests.Session() as session, Sockudo.from_url(url, session=session if own_session else None) as client:
        client.trigger(channel, "e", "one")
        client.trigger_batch([Event(channel, "e", "two", info="subscription_count")])
        assert seen.take(2) == ["one", "two"]
        assert client.channel_info(channel, ["subscription_count"])["subscription_count"] == 1
        assert channel in client.channels_info(channel[:-4])["channels"]
        assert client.channel_history(channel, limit=1)["items"][0]["message"]["data"] == "two"
        client.terminate_user_connections("user ü%+@:1")
        client.send_to_user("user@1", "e", "x")


def test_a_proxy_that_strips_nothing_is_told_by_404(nginx: Begin, full_sockudo: SockudoServer) -> None:
    """Sockudo has no prefix of its own: there is nothing that could be signed instead."""
    app = full_sockudo.apps[0]
    where = nginx("location /ws/ {{ proxy_pass http://127.0.0.1:{upstream}; }}")
    client = Sockudo(app.id, app.key, app.secret, host=where, path_prefix="/ws", retries=0)
    with pytest.raises(BadStatus) as caught:
        client.trigger("c", "e", "x")
    assert (caught.value.status, caught.value.sent) == (404, False)
