"""The simulation's server and the real one: the same exchanges, the same answers, the same events at a subscriber."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from sockudo_publisher.delivery.outcome import Outcome, Reply, classify
from sockudo_publisher.dev.embedded import SockudoApp, SockudoServer
from sockudo_publisher.dev.subscriber import Subscriber
from tests.integration.delivery.test_real_answers import MAX_CUTS, cut, event, post
from tests.simulation.lane import ModelItem
from tests.simulation.scheduler import Scheduler
from tests.simulation.server import Request, SimulatedServer
from tests.unit.delivery.model import body_of

pytestmark = pytest.mark.integration

#: Seconds that ids are remembered: longer than an exchange inside the window takes on a slow machine.
TTL_S = 8
LIMITED = SockudoApp(id="limited", key="limited-key", secret="limited-secret", limits={"max_event_batch_size": 5})
FREE = SockudoApp(id="free", key="free-key", secret="free-secret", limits={})


@dataclass(frozen=True)
class Send:
    """A batch: ``a`` an event, ``a'`` the same id with another payload, ``a!`` one that is refused."""

    names: str
    outcome: Outcome


@dataclass(frozen=True)
class Wait:
    """That number of seconds."""

    seconds: float


@dataclass(frozen=True)
class Restart:
    """The server ends and begins: its memory cache is empty."""


Step = Send | Wait | Restart
A, R, C, L = Outcome.ACCEPTED, Outcome.REFUSED, Outcome.CONFLICT, Outcome.TOO_LARGE

#: What is done, what it proves, and what a subscriber sees.
EXCHANGES: dict[str, tuple[list[Step], str]] = {
    "a replay is answered and not delivered": ([Send("a b", A), Send("a b", A)], "a b"),
    "a prefix, other neighbours and another place are replays too": (
        [Send("a b c", A), Send("a b", A), Send("b d a", A), Send("c", A)],
        "a b c d",
    ),
    "an id twice in one batch is delivered once": ([Send("a a b", A)], "a b"),
    "another payload is a conflict; what was before it is accepted": (
        [Send("a", A), Send("b a' c", C), Send("b", A), Send("c", A)],
        "a b c",
    ),
    "a conflict leaves the first receipt": ([Send("a", A), Send("a'", C), Send("a", A)], "a"),
    "a refused item stops the batch and leaves no claim": (
        [Send("a b! c", R), Send("b!", R), Send("a", A), Send("c", A)],
        "a c",
    ),
    "what was refused for its content may come again, mended": ([Send("b!", R), Send("b", A)], "b"),
    "nothing of a batch of too many is accepted": ([Send("a b c d e f", L), Send("a b c d e", A)], "a b c d e"),
    "too many is said before anything about an item": ([Send("a! b c d e f", L)], ""),
    "a restart forgets": ([Send("a b", A), Restart(), Send("a b", A), Send("a b", A)], "a b a b"),
    "an id is forgotten when its time is over, a replay does not prolong it, and another payload may have it": (
        [Send("a b", A), Wait(TTL_S / 2 + 1), Send("a", A), Wait(TTL_S / 2 + 1), Send("a", A), Send("a b'", A)],
        "a b a b",
    ),
}


@dataclass
class Modelled:
    """The model, alone with one client."""

    max_items: int | None = None
    seen: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.time = Scheduler(lambda number, task: None)
        self.server = SimulatedServer(
            lambda: self.time.now,
            self.time.at,
            lambda item, request: self.seen.append(self.names[item.number]),
            ttl_s=TTL_S,
            max_items=self.max_items,
        )
        self.payloads: dict[int, str] = {}

    def item(self, name: str) -> ModelItem:
        plain = name.rstrip("!'")
        if plain not in self.names:
            self.names.append(plain)
        return ModelItem("c", b"", 0, self.names.index(plain))

    def post(self, names: Sequence[str], *, cut_at: int | None = None) -> tuple[Reply, float]:
        """The answer, and what it took."""
        items = [self.item(name) for name in names]
        # The model knows beforehand which ids meet another payload: one that it remembers under the other.
        self.server.poison = frozenset(item.number for item, name in zip(items, names, strict=True) if "!" in name)
        self.server.foreign = frozenset(
            item.number
            for item, name in zip(items, names, strict=True)
            if self.server.record_of(item.number) is not None and self.payloads.get(item.number, name) != name
        )
        for item, name in zip(items, names, strict=True):
            if item.number not in self.server.foreign and "!" not in name:
                self.payloads[item.number] = name
        start = self.time.now
        request = Request(self.server, items, cut_at=cut_at)
        request.arrive()
        self.time.run(lambda: request.reply is not None)
        assert isinstance(request.reply, Reply) or cut_at is not None
        return request.reply, self.time.now - start  # type: ignore[return-value]

    def wait(self, seconds: float) -> None:
        self.time.now += seconds


@pytest.fixture(scope="module")
def server(sockudo: SockudoServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SockudoServer]:
    """A server with a short memory; `sockudo` says whether there is any."""
    with SockudoServer(tmp_path_factory.mktemp("model"), [LIMITED, FREE], dedup_ttl_s=TTL_S) as one:
        yield one


def real_items(names: Sequence[str], channel: str, run: str) -> list[bytes]:
    """The same batch for the real one."""
    items = []
    for name in names:
        plain = name.rstrip("!'")
        fields = {"channel": "a b"} if "!" in name else {"channel": channel}
        items.append(event(f"{plain}-{run}", data=name.rstrip("!"), **fields))
    return items


@pytest.mark.parametrize("name", EXCHANGES)
def test_exchange_goes_as_with_the_real_server(server: SockudoServer, name: str) -> None:
    """One exchange of the table, with both."""
    steps, seen = EXCHANGES[name]
    run, modelled = uuid.uuid4().hex, Modelled(max_items=5)
    channel = f"c-{run}"
    real_seen: list[str] = []
    subscriber = Subscriber(server.ws_url(), channel)
    try:
        for step in steps:
            match step:
                case Send(names, outcome):
                    told, _ = modelled.post(names.split())
                    answer = post(server.url, body_of(real_items(names.split(), channel, run)))
                    count = len(names.split())
                    assert classify(told, count).outcome is outcome, told
                    assert classify(answer, count).outcome is outcome, answer
                    assert classify(answer, count).limit == classify(told, count).limit
                case Wait(seconds):
                    modelled.wait(seconds)
                    time.sleep(seconds)
                case Restart():
                    modelled.server.restart(remembers=False)
                    real_seen += _taken(subscriber, len(modelled.seen))
                    subscriber.close()
                    server.restart()
                    subscriber = Subscriber(server.ws_url(), channel)
        assert modelled.seen == seen.split()
        assert [one.rstrip("'") for one in real_seen + _taken(subscriber, len(seen.split()) - len(real_seen))] == (
            seen.split()
        )
    finally:
        subscriber.close()


def _taken(subscriber: Subscriber, count: int) -> list[str]:
    """What it has seen: all that must come, and a while for what must not."""
    subscriber.wait_for_count(count)
    subscriber.wait_until_quiet(0.2)
    return subscriber.data()


def test_cut_request_leaves_what_the_model_says(server: SockudoServer) -> None:
    """The item at the cut is in progress for a second each time, alone and in a batch; its time frees it."""
    url = server.url_of(FREE)
    channels = [f"cut-{n}-{uuid.uuid4().hex}" for n in range(7)]
    with Subscriber(server.ws_url(FREE.key), *channels) as subscriber:
        for _ in range(MAX_CUTS):
            run = uuid.uuid4().hex
            names = [f"{n}-{run}" for n in range(400)]
            items = [event(name, channel=channels[n % 7], data=name) for n, name in enumerate(names)]
            cut(url, body_of(items))
            cut_at_s = time.monotonic()
            start = time.monotonic()
            answer = post(url, body_of(items))
            if classify(answer, len(items)).outcome is Outcome.STUCK:
                break
        else:
            pytest.fail(f"{MAX_CUTS} requests were cut and none left a claim: has the server learned to finish them?")
        took_s = time.monotonic() - start
        subscriber.wait_until_quiet(0.2)
        seen = [name for name in subscriber.data() if name.endswith(run)]
        at = len(seen)
        assert sorted(seen) == sorted(names[:at]), "what was before the cut was delivered, nothing behind it"

        modelled = Modelled()
        modelled.post(names, cut_at=at)
        told, told_s = modelled.post(names)
        assert classify(told, len(items)).outcome is Outcome.STUCK
        assert told_s == pytest.approx(1.06)
        assert took_s > 0.9
        for first, last in ((0, at), (0, at + 1), (at, at + 1), (at + 1, len(items))):
            if first == last:
                continue
            told, _ = modelled.post(names[first:last])
            answer = post(url, body_of(items[first:last]))
            assert classify(answer, last - first).outcome is classify(told, last - first).outcome, (first, last, at)
        other = event(names[at], channel=channels[at % 7], data="another")
        assert classify(post(url, body_of([other])), 1).outcome is Outcome.CONFLICT, "a pending claim knows its payload"
        assert classify(modelled.post([names[at] + "'"])[0], 1).outcome is Outcome.CONFLICT

        time.sleep(max(0.0, cut_at_s + TTL_S + 1 - time.monotonic()))
        modelled.wait(TTL_S + 1)
        before = subscriber.count
        assert classify(post(url, body_of([items[at]])), 1).outcome is Outcome.ACCEPTED
        assert classify(modelled.post([names[at]])[0], 1).outcome is Outcome.ACCEPTED
        subscriber.wait_for_count(before + 1)
        subscriber.wait_until_quiet(0.2)
        seen = [name for name in subscriber.data() if name.endswith(run)]
        assert sorted(modelled.seen) == sorted(names)
        assert Counter(seen) == Counter(names), f"cut at {at}"
