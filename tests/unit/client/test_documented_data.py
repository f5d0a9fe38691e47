"""The table of docs/publishing.md: what data may be, and the text that a subscriber gets."""

from __future__ import annotations

import dataclasses
import enum
import re
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import msgspec
import pydantic
import pytest
from django.utils.functional import lazystr

from sockudo_publisher.client.wire.encoding import Encoder
from sockudo_publisher.client.wire.json_text import load_orjson
from sockudo_publisher.errors import ValidationError

pytestmark = pytest.mark.unit

PAGE = (Path(__file__).parents[3] / "docs" / "publishing.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("| data | a subscriber gets |")[2].partition("\n\n")[0]
ROWS = re.findall(r"^\| `(.+?)`[^|`]*(?:`[^|]*)?\| `(.+)` \|$", TABLE, re.MULTILINE)


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Order:
    id: int
    day: date


class Customer(pydantic.BaseModel):
    first_name: str = pydantic.Field(alias="firstName")


class Flight(msgspec.Struct, rename="camel"):
    flight_number: str


NAMES = {
    one.__name__: one
    for one in (Colour, Customer, Decimal, Flight, Order, UUID, date, datetime, lazystr, time, timedelta, timezone)
}


def test_every_row_is_read() -> None:
    """A row that the pattern does not know would not be run."""
    assert len(ROWS) == TABLE.count("\n") - 1 >= 15


@pytest.mark.parametrize(("source", "text"), ROWS, ids=[source for source, _ in ROWS])
def test_subscriber_gets_what_the_table_says(source: str, text: str) -> None:
    """With either library."""
    data = eval(source, dict(NAMES))
    assert Encoder().payload(data) == text
    assert Encoder(json_encoder=load_orjson()).payload(data) == text


def test_documented_complaint_is_the_complaint() -> None:
    """Word for word."""
    with pytest.raises(ValidationError) as caught:
        Encoder().payload({"items": [1, 2, 3, {"price": {1}}]})
    assert f"`{caught.value}`" in PAGE.replace("\n", " ")
