"""The Python blocks of docs/client.md, run as a reader would: one after the other, and what they print compared.

A ``print`` with a comment behind it promises what it prints; ``…`` in a promise stands for anything.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockudo_publisher import Sockudo
from sockudo_publisher.dev.embedded import SockudoApp, SockudoServer
from tests.support.signed_in import join, sign_in
from tests.support.stack import SubscriberFactory

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "client.md"

APP = SockudoApp("your-app-id", "your-app-key", "your-app-secret")
PROMISE = re.compile(r"^(?: *)print\(.*\)  # (.*)$")


@pytest.fixture
def server(sockudo: SockudoServer, tmp_path: Path) -> Iterator[SockudoServer]:
    """What the page speaks of: history of both kinds, and users that sign in."""
    app = {
        "id": APP.id,
        "key": APP.key,
        "secret": APP.secret,
        "enabled": True,
        "policy": {"features": {"enable_user_authentication": True}, "limits": {"max_event_batch_size": 100}},
    }
    settings = {"presence_history": {"enabled": True}, "app_manager": {"array": {"apps": [app]}}}
    with SockudoServer(tmp_path, (APP,), history=True, settings=settings, program=sockudo.program) as server:
        yield server


def python_lines(text: str) -> str:
    """The page with everything but its Python blocks empty, so that a line keeps its number."""
    inside, lines = False, []
    for line in text.splitlines():
        if line.startswith("```"):
            inside = line == "```python"
            lines.append("")
        else:
            lines.append(line if inside else "")
    return "\n".join(lines)


def test_page(server: SockudoServer, subscriber: SubscriberFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block runs, prints what it says, and what it publishes arrives."""
    monkeypatch.setenv("SOCKUDO_URL", server.url)
    seen = subscriber(server, "my-channel", "channel-1", "channel-2", "private-encrypted-orders")
    for user in ("13", "90"):
        join(subscriber(server), APP, "presence-room", user)
    jane = subscriber(server)
    sign_in(jane, APP, "user-123")

    source = python_lines(PAGE.read_text().replace("6001", str(server.port)))
    promised = {
        number: match[1] for number, line in enumerate(source.splitlines(), 1) if (match := PROMISE.match(line))
    }
    assert len(promised) >= 25
    printed: dict[int, str] = {}
    free: list[str] = []

    def note(*values: object) -> None:
        number = sys._getframe(1).f_lineno
        text = " ".join(map(str, values))
        if number in promised:
            printed[number] = text
        else:
            free.append(text)

    exec(compile(source, str(PAGE), "exec", dont_inherit=True), {"print": note, "__name__": "client_page"})
    assert printed == promised
    assert "event: channel_vacated, channel: my-channel" in free
    assert "member_added 13 join" in free

    Sockudo.from_url(server.url).trigger("my-channel", "end", "x")
    seen._wait(lambda: any(event.event == "end" for event in seen.events()), "the last event")
    names = {channel: [e.event for e in seen.events() if e.channel == channel] for channel in seen.by_channel()}
    assert names["my-channel"].count("shipped") == 2  # 789 once though sent twice, and 790
    assert names["channel-2"] == ["my-event", "event-2", "event-3", *["tick"] * 300]
    assert names["private-encrypted-orders"] == ["shipped"]
    jane.wait_closed()
    assert jane.data() == ['{"hello":"Jane"}']


def test_page_has_every_call_of_the_go_readme() -> None:
    """Each beside the Python; so a row that is dropped here is missed."""
    page = PAGE.read_text()
    calls = [
        "ClientFromURL", "ClientFromEnv", "Secure = true", "HTTPClient = ", "Trigger(", "TriggerWithParams(",
        "TriggerMulti(", "TriggerBatch(", "type Event struct", "IdempotencyKey:", "AuthenticateUser(",
        "AuthorizePrivateChannel(", "AuthorizePresenceChannel(", "type MemberData struct", "Channels(", "Channel(",
        "GetChannelUsers(", "Webhook(", "type Webhook struct", "EncryptionMasterKeyBase64:", "urlfetch.Client(",
        "go test", "ChannelHistory(", "HistoryParams{Cursor", "pusher.Client",
    ]  # fmt: skip
    assert [call for call in calls if call not in page] == []
    sections = re.split(r"^#+ ", page, flags=re.MULTILINE)
    for section in sections:
        if "```go" in section:
            assert "```python" in section or "pip install" in section, section.splitlines()[0]
