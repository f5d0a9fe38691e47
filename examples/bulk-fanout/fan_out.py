"""Publish an event to each row of a table of any size, with progress; go on after a crash. See README.md."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rows import Campaign, connect, fill

from sockudo_publisher import BulkError, publish_many


def events(campaign: Campaign) -> Iterator[dict[str, Any]]:
    """One for each subscriber. The key makes a repeated run safe: an event whose key is stored is not stored again."""
    for number, name, city in campaign.rows():
        yield {
            "user_id": str(number),
            "name": "news",
            "data": {"campaign": campaign.name, "text": f"Hello {name}, the {campaign.name} tea is in {city}."},
            "key": f"{campaign.name}-{number}",
        }


def run(campaign: Campaign) -> int:
    """Store all events; workers deliver them meanwhile. Returns the exit code."""
    if campaign.stored_before:
        print(f"going on behind {campaign.stored_before:,} events of an earlier run")
    began = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        task = bar.add_task(campaign.name, total=campaign.left)

        def progress(stored: int) -> None:
            bar.update(task, completed=stored)
            campaign.save(stored)

        try:
            receipt = publish_many(events(campaign), progress=progress)
        except BulkError as error:  # Redis is away, or the backlog is full
            print(f"stopped: {error.cause}. Run the same command again to go on.", file=sys.stderr)
            return 1
        bar.update(task, completed=receipt.count)
        campaign.save(receipt.count)
    rate = receipt.count / max(time.monotonic() - began, 1e-9)
    print(f"{receipt.count:,} events, {receipt.already_stored:,} of them stored before ({rate:,.0f}/s)")
    return 0


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["fill", "run", "export"])
    parser.add_argument("database", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of `fill` (%(default)s)")
    parser.add_argument("--campaign", default="spring", help="of `run` and `export` (%(default)s)")
    arguments = parser.parse_args()
    connection = connect(arguments.database)
    try:
        if arguments.command == "fill":
            fill(connection, arguments.rows)
            return 0
        campaign = Campaign(connection, arguments.campaign)
        if arguments.command == "run":
            return run(campaign)
        for event in events(campaign):
            print(json.dumps(event))
        return 0
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
