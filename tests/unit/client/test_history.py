"""History on the wire: parameters, and an iterator that keeps direction and bounds and never runs for ever."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.client.api.history import MAX_EMPTY_PAGES, every_item
from sockudo_publisher.errors import BadRequest, SockudoError, ValidationError

pytestmark = pytest.mark.unit

EVERYTHING = {
    "limit": 50, "direction": "oldest_first", "cursor": "abc", "start_serial": 9007199254740993,
    "end_serial": "18446744073709551615", "start_time_ms": 0, "end_time_ms": 1795470192109,
}  # fmt: skip
ON_THE_WIRE = {
    "limit": "50", "direction": "oldest_first", "cursor": "abc", "start_serial": "9007199254740993",
    "end_serial": "18446744073709551615", "start_time_ms": "0", "end_time_ms": "1795470192109",
}  # fmt: skip


def test_every_parameter_under_the_servers_name(wire):
    """Digits kept whole."""
    wire.client.channel_history("orders", **EVERYTHING)
    wire.client.channel_history("orders")
    wire.client.get_channel_history("orders", limit=1)
    assert {(sent.method, sent.path) for sent in wire.sent} == {("GET", "/channels/orders/history")}
    assert [sent.query for sent in wire.sent] == [ON_THE_WIRE, {}, {"limit": "1"}]


def test_serials_of_answers_stay_whole(wire):
    """Above 2**53, where a float would round."""
    wire.answer = lambda _: {"items": [{"serial": 9007199254740993}], "next_cursor": None, "has_more": False}
    assert wire.client.channel_history("orders")["items"][0]["serial"] == 9007199254740993


@pytest.mark.parametrize("direction", ["newest_first", "oldest_first", "backwards", "forwards", "reverse", "forward"])
def test_directions_of_the_server(wire, direction):
    """Its aliases too."""
    wire.client.channel_history("orders", direction=direction)
    assert wire.only.query == {"direction": direction}


BAD = {
    "limit 0": ({"limit": 0}, "limit: 0, must be at least 1"),
    "limit text": ({"limit": "5"}, "limit: a str, expected a whole number"),
    "direction": ({"direction": "upwards"}, "direction: unknown, expected newest_first or oldest_first"),
    "cursor": ({"cursor": ""}, "cursor: empty, limit 16384 bytes"),
    "cursor long": ({"cursor": "x" * 16_385}, "cursor: 16385 bytes, limit 16384"),
    "serial": ({"start_serial": -1}, "start_serial: -1, must be at least 0"),
    "serial float": ({"end_serial": 1e3}, "end_serial: a float, expected a whole number"),
    "serial long": ({"end_serial": 2**64}, "end_serial: 65 bits, limit 18446744073709551615"),
    "time": ({"start_time_ms": 1.5}, "start_time_ms: a float, expected a whole number"),
    "serials reversed": ({"start_serial": "10", "end_serial": 9}, "start_serial: 10, limit 9 (end_serial)"),
    "times reversed": ({"start_time_ms": 10, "end_time_ms": 9}, "start_time_ms: 10, limit 9 (end_time_ms)"),
}


@pytest.mark.parametrize("call", ["channel_history", "iter_channel_history"])
@pytest.mark.parametrize(("options", "complaint"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_before_anything_is_sent(wire, call, options, complaint):
    """By the iterator too, when it is made and not when it is first asked."""
    with pytest.raises(ValidationError) as caught:
        getattr(wire.client, call)("orders", **options)
    assert str(caught.value) == complaint
    assert wire.sent == []


class Server:
    """Pages of the numbers 0 to ``count`` - 1; its cursors hold only with the query that they came with."""

    def __init__(self, count, size):
        self.numbers, self.size, self.queries = range(count), size, []

    def __call__(self, query):
        self.queries.append(dict(query))
        cursor = query.get("cursor")
        rest = {name: value for name, value in query.items() if name not in ("cursor", "limit")}
        if cursor is not None and cursor.partition(":")[2] != repr(rest):
            raise BadRequest(400, "invalid_input", "cursor does not match the request")
        start = 0 if cursor is None else int(cursor.partition(":")[0])
        end = start + int(query.get("limit", self.size))
        more = end < len(self.numbers)
        return {"items": list(self.numbers[start:end]), "next_cursor": f"{end}:{rest!r}" if more else None}


@given(st.integers(0, 200), st.integers(1, 60), st.sampled_from([None, "newest_first", "oldest_first"]))
def test_iterator_yields_every_item_once_and_in_order(count, size, direction):
    """Whatever the pages, with the first query's direction and bounds on each."""
    query = {"start_serial": "3", "limit": str(size), **({} if direction is None else {"direction": direction})}
    server = Server(count, size)
    assert list(every_item(server, query)) == list(range(count))
    assert len(server.queries) == max(1, -(-count // size))
    assert all({**asked, "cursor": None} == {**query, "cursor": None} for asked in server.queries)
    assert "cursor" not in query


def test_iterator_asks_for_a_page_when_it_is_needed(wire):
    """Nothing before the first item is wanted, nothing beyond the last one that is."""
    wire.answer = lambda sent: Server(100, 10)(sent.query)
    items = wire.client.iter_channel_history("orders", direction="oldest_first", limit=10)
    assert wire.sent == []
    assert list(itertools.islice(items, 10)) == list(range(10))
    assert len(wire.sent) == 1
    assert next(items) == 10
    assert [sent.query.get("direction") for sent in wire.sent] == ["oldest_first"] * 2


def test_iterator_goes_on_from_a_cursor(wire):
    """One that an earlier page gave."""
    wire.answer = lambda sent: Server(30, 10)(sent.query)
    cursor = wire.client.channel_history("orders", direction="oldest_first")["next_cursor"]
    rest = wire.client.iter_channel_history("orders", direction="oldest_first", cursor=cursor)
    assert list(rest) == list(range(10, 30))


@pytest.mark.parametrize("length", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("lead_in", [0, 1, 5])
def test_iterator_ends_where_cursors_go_in_a_circle(length, lead_in):
    """With an error, as a silent end would look like the whole history; of any length, from wherever it begins."""
    pages = itertools.count()

    def fetch(_):
        number = next(pages)
        assert number < 10_000, "for ever"
        return {
            "items": [number],
            "next_cursor": str(number if number < lead_in else (number - lead_in) % length + 1000),
        }

    with pytest.raises(SockudoError, match="go in a circle"):
        list(every_item(fetch, {}))


def test_iterator_finds_the_cursor_that_it_began_with():
    """A page that names itself as the next one is asked for once."""
    asked = []
    with pytest.raises(SockudoError, match="go in a circle"):
        list(every_item(lambda query: asked.append(query) or {"items": [1], "next_cursor": "abc"}, {"cursor": "abc"}))
    assert len(asked) == 1


def test_iterator_bears_empty_pages_but_not_without_end():
    """A store that filters may give some."""
    few = iter([{"items": [], "next_cursor": str(n)} for n in range(5)] + [{"items": ["last"], "next_cursor": None}])
    assert list(every_item(lambda _: next(few), {})) == ["last"]
    numbers = itertools.count()
    with pytest.raises(SockudoError, match="empty pages without end"):
        list(every_item(lambda _: {"items": [], "next_cursor": str(next(numbers))}, {}))
    assert next(numbers) == MAX_EMPTY_PAGES + 1


def test_iterator_counts_empty_pages_alone():
    """A history of more pages than that is read to its end."""
    pages = MAX_EMPTY_PAGES + 10
    assert list(every_item(Server(pages, 1), {})) == list(range(pages))


def test_iterator_ends_with_an_answer_that_says_nothing():
    """A 2xx without items or cursor is the end, not a KeyError."""
    assert list(every_item(lambda _: {}, {})) == []


def test_state_and_orders(wire):
    """What the server wants to hear twice, it hears twice."""
    client = wire.client
    client.history_state("orders")
    client.reset_history("orders", "a test", "me")
    client.purge_history("orders", "all", "a test")
    client.purge_history("orders", "before_serial", "a test", before_serial="9007199254740993")
    client.purge_history("orders", "before_time_ms", "a test", "me", before_time_ms=5)
    assert [(sent.method, sent.path.removeprefix("/channels/orders/history")) for sent in wire.sent] == [
        ("GET", "/state"), ("POST", "/reset"), ("POST", "/purge"), ("POST", "/purge"), ("POST", "/purge"),
    ]  # fmt: skip
    purge = {"confirm_channel": "orders", "confirm_operation": "purge", "reason": "a test"}
    assert [sent.json() for sent in wire.sent[1:]] == [
        {"confirm_channel": "orders", "confirm_operation": "reset", "reason": "a test", "requested_by": "me"},
        {**purge, "mode": "all"},
        {**purge, "mode": "before_serial", "before_serial": 9007199254740993},
        {**purge, "mode": "before_time_ms", "before_time_ms": 5, "requested_by": "me"},
    ]


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda c: c.reset_history("orders", ""), "reason: empty, limit 1024 bytes"),
        (lambda c: c.reset_history("orders", "  "), "reason: only space"),
        (lambda c: c.reset_history("orders", "x" * 1025), "reason: 1025 bytes, limit 1024"),
        (lambda c: c.reset_history("orders", "x", ""), "requested_by: empty"),
        (lambda c: c.reset_history("a b", "x"), "channel: 3 characters"),
        (lambda c: c.reset_history("..", "x"), "channel: a dot segment"),
        (lambda c: c.purge_history("orders", "everything", "x"), "mode: unknown, expected all, before_serial"),
        (lambda c: c.purge_history("orders", "all", "x", before_serial=1), "before_serial: not allowed with mode="),
        (lambda c: c.purge_history("orders", "before_serial", "x"), "before_serial: missing with mode='before_serial'"),
        (lambda c: c.purge_history("orders", "before_serial", "x", before_serial=0, before_time_ms=0),
         "before_time_ms: not allowed with mode='before_serial'"),
        (lambda c: c.purge_history("orders", "before_time_ms", "x", before_time_ms=-1), "before_time_ms: -1"),
        (lambda c: c.history_state("x" * 201), "channel: 201 bytes, limit 200"),
    ],
)  # fmt: skip
def test_bad_orders_are_refused_before_anything_is_sent(wire, call, complaint):
    """Nothing is deleted by mistake."""
    with pytest.raises(ValidationError, match=complaint):
        call(wire.client)
    assert wire.sent == []
