"""No ``repr`` shows a payload or a secret: every class of the package whose fields may hold one is tried."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest

import sockudo_publisher
from sockudo_publisher import Event, Sockudo
from sockudo_publisher.client.http.signing import Signer
from sockudo_publisher.client.http.transport import Response
from sockudo_publisher.client.wire.encoding import Encoder
from sockudo_publisher.delivery.outcome import Reply
from sockudo_publisher.journal.batch import Batch, read_batch
from sockudo_publisher.journal.dead_letters import Letter
from sockudo_publisher.journal.pack import Item, KeyedItem, Pack, Packed, pack
from sockudo_publisher.journal.redis.link import RedisLink
from sockudo_publisher.outbox.row import EventRow
from sockudo_publisher.publishing.call import PublishCall
from sockudo_publisher.publishing.prepare import Prepared
from sockudo_publisher.redaction.secret import Secret, SecretField
from sockudo_publisher.tasks.message import FinishedEvent

pytestmark = pytest.mark.unit

MARK = "not-for-the-log"

#: Fields whose names say that they may hold a payload or a secret.
PRIVATE = re.compile(
    r"(^|_)(data|payload|secret|password|passwd|token|body|raw|item|items|url|credentials|extras|tags|content|text)($|_)"
)

#: Fields of such names that hold neither, with the reason.
HARMLESS = {
    "ChannelPattern.text": "a pattern of the application's code",
    "DeadLetter.raw_entry": "the id of an entry",
    "RequestFacts.content_type": "a media type",
    "EndpointAnswer.content_type": "a media type",
    "Endpoints.user_data": "a function of the application",
    "Letter.raw_entry": "the id of an entry",
    "Looks.token_wait_s": "seconds of the rate limit",
    "NodeAnswer.payload": "one of the doctor's own two",
    "PermissionFinding.text": "about patterns of the application's code",
    "Script.text": "a script of this package",
    "Seen.token": "a number that Redis counts",
}


#: What a test of an application shows when it fails: events of that test.
OF_TESTS = {"dev.devserver.event_log.AcceptedEvent", "testing.event.PublishedEvent", "testing.subscriber.ReceivedEvent"}


#: Modules that change the process that imports them. Django's models need settings, and have no such classes.
NOT_HERE = ("__main__", ".workerapp.assembly")


def _modules() -> Iterator[Any]:
    for found in pkgutil.walk_packages(sockudo_publisher.__path__, "sockudo_publisher."):
        if found.name.endswith(NOT_HERE) or ".outbox.django" in found.name or ".contrib.django" in found.name:
            continue
        try:
            yield importlib.import_module(found.name)
        except Exception as error:
            if not isinstance(error, ImportError) and "django" not in type(error).__module__:
                raise


def _fields_of(kind: type) -> dict[str, str]:
    """Field names of a dataclass or NamedTuple, with their types as text."""
    if dataclasses.is_dataclass(kind):
        return {one.name: str(one.type) for one in dataclasses.fields(kind)}
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return {name: str(kind.__annotations__.get(name, "")) for name in kind._fields}
    return {}


def _classes() -> dict[str, type]:
    found = {}
    for module in _modules():
        for value in vars(module).values():
            if issubclass(type(value), type) and value.__module__ == module.__name__ and _fields_of(value):
                found[f"{value.__module__.removeprefix('sockudo_publisher.')}.{value.__name__}"] = value
    return found


CLASSES = _classes()
#: (class, field) of every field with such a name.
FIELDS = [
    (name, field)
    for name, kind in CLASSES.items()
    for field in _fields_of(kind)
    if name not in OF_TESTS
    if PRIVATE.search(field) and f"{kind.__name__}.{field}" not in HARMLESS
]


def _value_for(field: str, kind: str, marked: str) -> Any:
    """A value of about the right type, with the mark in the field that is tried."""
    text = MARK if field == marked else "x"
    if field in ("item", "items"):
        one = Item("c", text.encode())
        return one if kind == "Item" else text.encode() if kind == "bytes" else (one,)
    if kind.startswith(("tuple", "Sequence", "list")):
        return ()
    if "bytes" in kind:
        return text.encode()
    if "dict" in kind or "Mapping" in kind:
        return {text: text}
    if kind.startswith(("int", "float", "bool")):
        return 0
    return frozenset() if kind.startswith("frozenset") else text


def _instance(kind: type, marked: str) -> Any:
    """An instance with the mark in one field, made without the constructor, which may check."""
    values = {name: _value_for(name, of, marked) for name, of in _fields_of(kind).items()}
    if issubclass(kind, tuple):
        return kind._make(values.values())  # type: ignore[attr-defined]
    one = object.__new__(kind)
    for name, value in values.items():
        object.__setattr__(one, name, value)
    return one


@pytest.mark.parametrize(("name", "field"), FIELDS, ids=[f"{name}.{field}" for name, field in FIELDS])
def test_private_field_is_not_shown(name, field):
    """A new class that forgets: give it a ``repr``, or ``field(repr=False)``."""
    assert MARK not in repr(_instance(CLASSES[name], field))


def test_walk_finds_the_known_classes():
    """The walk sees what it is for."""
    assert set(CLASSES) >= OF_TESTS
    found = {(CLASSES[name], field) for name, field in FIELDS}
    assert {(Item, "body"), (Pack, "body"), (Packed, "body"), (Event, "data"), (Letter, "item")} <= found
    assert {(EventRow, "body"), (PublishCall, "data"), (Reply, "body"), (Response, "body")} <= found
    assert (Prepared, "items") in found


BODY = f'{{"channel":"orders","name":"shipped","data":"{MARK}","message_id":"m-1"}}'.encode()
ITEM = Item("orders", BODY)
META = pack([ITEM]).meta.encode()
BATCH = read_batch([1, 5, 5, b"marker", b"0", 1, [], b"1-0", b"1", META, BODY, b"0", b"1", b""])

REAL: dict[str, Any] = {
    "item": ITEM,
    "item of something else": Item("orders", MARK.encode()),
    "item that is a list": Item("orders", f'["{MARK}"]'.encode()),
    "keyed item": KeyedItem(ITEM, "key", "fingerprint"),
    "packed": pack([ITEM]),
    "pack": BATCH.packs[0],
    "batch": BATCH,
    "prepared": Prepared("m-1", (ITEM,)),
    "finished event": FinishedEvent("", "default", Prepared("m-1", (ITEM,))),
    "row": EventRow("default", "orders", "m-1", "", BODY),
    "call": PublishCall("orders", "shipped", MARK),
    "event": Event("orders", "shipped", MARK),
    "client": Sockudo("a", MARK, MARK),
    "signer": Signer(MARK, MARK),
    "encoder": Encoder(),
    "link": RedisLink(f"redis://:{MARK}@127.0.0.1:9/0", timeout_s=1.0),
    "secret": Secret(MARK),
}


@pytest.mark.parametrize("one", REAL.values(), ids=REAL)
def test_real_object_shows_no_payload(one):
    """As they are made; in a list, a dict and a format too."""
    for shown in (repr(one), str(one), f"{one}", repr([one]), repr({"x": one})):
        assert MARK not in shown


@pytest.mark.parametrize("name", ["item", "keyed item", "prepared", "finished event", "row"])
def test_repr_says_which_event_it_is(name):
    """Channel, name, id and size."""
    shown = repr(REAL[name])
    assert "orders" in shown
    assert "shipped" in shown
    assert "m-1" in shown
    assert f"{len(BODY)} bytes" in shown


def test_batch_says_its_place_and_size():
    """A batch has no item of its own to name."""
    assert isinstance(BATCH, Batch)
    assert f"{len(BODY)} bytes" in repr(BATCH)
    assert "orders" in repr(BATCH)


def test_secret_field_of_an_object_without_it():
    """As any attribute that is not there; of the class it is the field."""

    class Holder:
        hidden = SecretField("hidden")

    holder = Holder()
    with pytest.raises(AttributeError, match="hidden"):
        _ = holder.hidden
    holder.hidden = MARK
    assert holder.hidden == MARK
    assert MARK not in repr(vars(holder))
    assert isinstance(Holder.hidden, SecretField)
