"""Values that JSON does not have: the text that a subscriber gets, as Django's encoder writes it."""

from __future__ import annotations

import dataclasses
import enum
import json
import subprocess
import sys
from collections import namedtuple
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import msgspec
import pydantic
import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.functional import lazystr
from hypothesis import given
from hypothesis import strategies as st
from pydantic import v1 as pydantic_1

from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.client.wire.encoding import Encoder
from sockudo_publisher.client.wire.event import Event
from sockudo_publisher.errors import ValidationError

pytestmark = pytest.mark.unit

PLUS_TWO = timezone(timedelta(hours=2))
payload = Encoder().payload

TIMES = (
    st.datetimes(timezones=st.sampled_from([None, timezone.utc, PLUS_TWO, timezone(timedelta(seconds=1))]))
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=True)
    | st.uuids()
)


@given(st.recursive(TIMES, lambda parts: st.lists(parts) | st.dictionaries(st.text(), parts)))
def test_times_and_numbers_are_as_in_django(value: object) -> None:
    """Milliseconds, cut; `Z` for UTC; ISO durations; decimals and UUIDs as text."""
    expected = json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False, separators=(",", ":"))
    try:
        expected.encode()
    except UnicodeEncodeError:
        return  # a lone surrogate in a name is refused
    assert payload(value) == expected


class Colour(enum.Enum):
    RED = "red"
    DAY = date(2026, 1, 2)


class Level(enum.IntEnum):
    HIGH = 3


class Kind(str, enum.Enum):
    FREIGHT = "freight"


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Line:
    sku: str
    price: Decimal
    tags: dict[object, object] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Order:
    id: UUID
    lines: list[object]
    at: datetime | None = None


class Customer(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(populate_by_name=True)
    first_name: str = pydantic.Field(alias="firstName")
    born: date
    orders: list[Order] = []


class Numbers(pydantic.RootModel[list[Decimal]]):
    pass


class Old(pydantic_1.BaseModel):
    born: date


class Flight(msgspec.Struct, rename="camel"):
    flight_number: str
    lands_at: datetime


class Sparse(msgspec.Struct, tag="sparse", omit_defaults=True):
    number: int = 1
    name: str = ""
    parts: list[object] = []
    note: str | msgspec.UnsetType = msgspec.UNSET


class Row(msgspec.Struct, array_like=True, tag="row"):
    x: int
    at: date


Point = namedtuple("Point", "x y")
NOON = datetime(2026, 1, 2, 12, 0, 0, 123456, timezone.utc)
ID = UUID("00000000-0000-0000-0000-000000000007")

VALUES = {
    "enum": ([Colour.RED, Colour.DAY, Level.HIGH, Kind.FREIGHT], '["red","2026-01-02",3,"freight"]'),
    "flag": ({"may": Rights.READ | Rights.WRITE}, '{"may":3}'),
    "enum as a name": ({Kind.FREIGHT: 1, Level.HIGH: 2}, '{"freight":1,"3":2}'),
    "named tuple": (Point(1, NOON), '[1,"2026-01-02T12:00:00.123Z"]'),
    "lazy text": ({"title": lazystr("Grüße")}, '{"title":"Grüße"}'),
    "dataclass": (
        Order(ID, [Line("a", Decimal("1.10"), {1: None})], NOON),
        '{"id":"00000000-0000-0000-0000-000000000007",'
        '"lines":[{"sku":"a","price":"1.10","tags":{"1":null}}],"at":"2026-01-02T12:00:00.123Z"}',
    ),
    "pydantic": (
        [Customer(first_name="Ann", born=date(2000, 1, 2), orders=[Order(ID, [])])],
        '[{"firstName":"Ann","born":"2000-01-02",'
        '"orders":[{"id":"00000000-0000-0000-0000-000000000007","lines":[],"at":null}]}]',
    ),
    "pydantic root": (Numbers([Decimal("1.0")]), '["1.0"]'),
    "pydantic 1": (Old(born=date(2000, 1, 2)), '{"born":"2000-01-02"}'),
    "msgspec": (Flight("LH 1", NOON), '{"flightNumber":"LH 1","landsAt":"2026-01-02T12:00:00.123Z"}'),
    "msgspec without defaults": ([Sparse(), Sparse(name="x")], '[{"type":"sparse"},{"type":"sparse","name":"x"}]'),
    "msgspec as an array": (Row(1, date(2026, 1, 2)), '["row",1,"2026-01-02"]'),
    "time": ({"at": time(1, 2, 3, 456789)}, '{"at":"01:02:03.456"}'),
    "negative duration": ([timedelta(seconds=-1.5)], '["-P0DT00H00M01.500000S"]'),
}


@pytest.mark.parametrize(("value", "text"), VALUES.values(), ids=VALUES.keys())
def test_value_has_this_text(value: object, text: str) -> None:
    """The one text of every process."""
    assert payload(value) == text


@pytest.mark.parametrize("value", [value for value, _ in VALUES.values() if isinstance(value, msgspec.Struct)])
def test_struct_has_the_names_of_msgspec(value: msgspec.Struct) -> None:
    """Renamed fields, the tag, the order: only times differ."""
    ours, theirs = json.loads(payload(value)), json.loads(msgspec.json.encode(value))
    assert list(ours) == list(theirs) if isinstance(ours, dict) else len(ours) == len(theirs)


class Broken(pydantic.BaseModel):
    value: object

    @pydantic.field_serializer("value")
    def _fail(self, value: object) -> object:
        raise RuntimeError(f"no {value}")


@dataclasses.dataclass(slots=True)
class Unset:
    a: int


HUSH = "hush"
FAULTS = {
    "in a dataclass": (
        {"order": Order(ID, [Line("a", Decimal(1)), Line("b", {HUSH})])},  # type: ignore[arg-type]
        "data.order.lines[1].price: not JSON, Object of type set",
    ),
    "in a model": (
        Customer.model_construct(first_name={HUSH}, born=date(2000, 1, 1)),
        "data.firstName: not JSON, Object of type set",
    ),
    "in a struct": (Flight(b"hush", NOON), "data.flightNumber: not JSON, Object of type bytes"),  # type: ignore[arg-type]
    "NaN in a dataclass": (Line("a", float("nan")), "data.price: not JSON, NaN"),  # type: ignore[arg-type]
    "surrogate in a dataclass": (Line("\ud800hush", Decimal(1)), "data.sku: not UTF-8"),
    "surrogate in a name": ([Line("a", Decimal(1), {"\ud800hush": 1})], "data[0].tags: not UTF-8"),
    "time with a zone": ({"at": time(1, tzinfo=timezone.utc)}, "data.at: not JSON, a time with a zone"),
    "datetime as a name": ({"a": {NOON: 1}}, "data.a: not JSON, keys must be"),
    "UUID as a name": ([{ID: 1}], "data[0]: not JSON, keys must be"),
    "enum as a name": ([{Colour.RED: 1}], "data[0]: not JSON, keys must be"),
    "broken model": ([Broken(value=HUSH)], "data[0]: not JSON, its encoder raised PydanticSerializationError"),
    "unset slot": ([object.__new__(Unset)], "data[0]: not JSON, its encoder raised AttributeError"),
    "class": ([Line], "data[0]: not JSON, Object of type type"),
    "model class": (Customer, "data: not JSON, Object of type ModelMetaclass"),
    "complex": ({"a": 1j}, "data.a: not JSON, Object of type complex"),
    "bytes within": ({"a": b"hush"}, "data.a: not JSON, Object of type bytes"),
    "range": ([range(3)], "data[0]: not JSON, Object of type range"),
}


@pytest.mark.parametrize(("value", "complaint"), FAULTS.values(), ids=FAULTS.keys())
def test_fault_inside_a_value_has_its_path(value: object, complaint: str) -> None:
    """With the names of the JSON, and no value."""
    with pytest.raises(ValidationError) as caught:
        payload(value)
    assert str(caught.value).startswith(complaint)
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_dataclass_in_a_circle_is_refused() -> None:
    """At the depth that Python has."""
    one = Order(ID, [])
    one.lines.append(one)
    with pytest.raises(ValidationError, match=r"^data: not JSON, circular or too deep"):
        payload(one)


def test_direct_calls_take_the_same_values() -> None:
    """`trigger`, a batch, `send_to_user`: one encoder."""
    client = Sockudo("a", "k", "s", port=1)
    bodies: list[bytes] = []
    client.call = lambda *_, **how: bodies.append(how["body"]) or {}  # type: ignore[method-assign,func-returns-value]
    client.trigger("c", "e", Line("a", Decimal("1.10")))
    client.trigger_batch([Event("c", "e", Line("a", Decimal("1.10")))])
    client.send_to_user("u", "e", Line("a", Decimal("1.10")))
    expected = json.dumps(payload(Line("a", Decimal("1.10"))))
    assert [f'"data":{expected}' in body.decode() for body in bodies] == [True, True, True]


def test_extras_and_tags_take_what_they_took() -> None:
    """They are no payload: the server reads them."""
    client = Sockudo("a", "k", "s", port=1)
    with pytest.raises(ValidationError, match=r"^extras\.note\.at: not JSON, Object of type datetime"):
        client.trigger("c", "e", 1, extras={"note": {"at": NOON}})
    with pytest.raises(ValidationError, match=r"^tags"):
        client.trigger("c", "e", 1, tags={"at": NOON})  # type: ignore[dict-item]


def test_no_library_is_loaded_for_a_value() -> None:
    """A value of a library that is not loaded does not exist."""
    source = (
        "import sys; from sockudo_publisher.client.wire.encoding import Encoder; import datetime\n"
        "Encoder().payload({'at': datetime.datetime(2026, 1, 1)})\n"
        "loaded = {'pydantic', 'msgspec', 'django', 'orjson', 'decimal'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", source], check=True, timeout=60)
