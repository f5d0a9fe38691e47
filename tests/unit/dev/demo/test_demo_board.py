"""The snapshot that a page asks for when it comes late."""

from __future__ import annotations

from datetime import datetime

import pytest

from sockudo_publisher.dev.demo.board import Board
from sockudo_publisher.dev.demo.flights import departures
from sockudo_publisher.dev.demo.timetable import BoardMessage, Numbering, day_messages, schedule_messages, updates

pytestmark = pytest.mark.unit


def test_it_holds_each_flight_s_latest_status():
    """After a whole day every flight has ended, and every channel's number is its last."""
    day, numbering, board = departures(), Numbering(), Board()
    board.apply(schedule_messages(day, numbering))
    assert {flight["status"] for flight in board.snapshot()["flights"]} == {"scheduled"}
    board.apply(day_messages(day, numbering), updates(day)[-1].at)
    snapshot = board.snapshot()
    assert len(snapshot["flights"]) == 979
    assert {flight["status"] for flight in snapshot["flights"]} == {"departed", "cancelled"}
    assert snapshot["seq"] == numbering.last()
    assert snapshot["clock"] == "2013-03-09T03:21:00"
    assert board.published == 979 + 2 * 2330


def test_a_new_day_clears_an_airport_s_board():
    """And only that airport's."""
    day, numbering, board = departures(), Numbering(), Board()
    board.apply(schedule_messages(day, numbering))
    board.apply([BoardMessage("departures-JFK", "new-day", {"seq": 324, "at": "2013-03-08T05:30", "from": "JFK"})])
    assert {flight["from"] for flight in board.snapshot()["flights"]} == {"EWR", "LGA"}
    assert board.snapshot()["seq"]["departures-JFK"] == 324


def test_its_clock_can_be_set_without_an_event():
    """The board's time goes on while nothing happens."""
    board = Board()
    board.set_clock(datetime(2013, 3, 8, 9, 41, 30))
    assert board.snapshot()["clock"] == "2013-03-08T09:41:30"
