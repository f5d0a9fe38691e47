"""A table of subscribers, as a newsletter has one, and how far each campaign has come."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS subscribers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS campaigns (name TEXT PRIMARY KEY, last_id INTEGER NOT NULL, stored INTEGER NOT NULL);
"""
CITIES = ("Lisbon", "Oslo", "Turin", "Vienna", "Zagreb")


def connect(file: Path) -> sqlite3.Connection:
    """The database, made if it is not there."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(SCHEMA)
    return connection


def fill(connection: sqlite3.Connection, count: int) -> None:
    """Subscribers 1 to ``count``, in place of those that are there."""
    rows = ((number, f"Reader {number}", CITIES[number % len(CITIES)]) for number in range(1, count + 1))
    connection.execute("BEGIN")
    connection.execute("DELETE FROM subscribers")
    connection.execute("DELETE FROM campaigns")
    connection.executemany("INSERT INTO subscribers VALUES (?, ?, ?)", rows)
    connection.execute("COMMIT")


class Campaign:
    """The subscribers that a campaign has not reached yet, in the order of their ids; and its position."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._connection, self.name = connection, name
        row = connection.execute("SELECT last_id, stored FROM campaigns WHERE name = ?", (name,)).fetchone()
        self.last_id, self.stored_before = row or (0, 0)
        (self.left,) = connection.execute("SELECT count(*) FROM subscribers WHERE id > ?", (self.last_id,)).fetchone()
        #: Rows that this run has read.
        self.read = 0

    def rows(self) -> Iterator[tuple[int, str, str]]:
        """Read lazily: a million rows need no memory."""
        first = self.last_id
        for row in self._connection.execute("SELECT * FROM subscribers WHERE id > ? ORDER BY id", (first,)):
            self.read, self.last_id = self.read + 1, row[0]
            yield row

    def save(self, stored: int) -> bool:
        """Record the position, if all rows that were read are stored. Returns whether they are."""
        if stored != self.read:
            return False
        position = (self.name, self.last_id, self.stored_before + stored)
        self._connection.execute("INSERT OR REPLACE INTO campaigns VALUES (?, ?, ?)", position)
        return True
