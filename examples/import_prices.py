"""Publish the events of a file. After a crash run it again: no event is published twice.

    python examples/import_prices.py import-42 < prices.csv

Each line is ``symbol,price``. The first argument names the run: its events have the keys ``import-42:0`` and so on.
"""

import csv
import sys
from collections.abc import Iterator

from sockudo_publisher import BulkError, Event, publish_many


def prices() -> Iterator[Event]:
    """Yield one event per line, read lazily."""
    for symbol, price in csv.reader(sys.stdin):
        yield Event(f"prices-{symbol}", "tick", {"symbol": symbol, "price": float(price)})


def main(run: str) -> int:
    """Store all events; on a failure print how many were stored."""
    try:
        receipt = publish_many(prices(), key_prefix=run, progress=lambda stored: print(f"{stored} stored"))
    except BulkError as error:
        print(f"stopped at line {error.index + 1}: run it again to go on ({error.cause})", file=sys.stderr)
        return 1
    print(f"{receipt.count} events, {receipt.already_stored} of them from an earlier run")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "import"))
