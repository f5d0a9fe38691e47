"""The order in which the files of tests are given to the processes of a run."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["spread"]

UNIT = "tests/unit/"


def spread(files: Iterable[str]) -> dict[str, int]:
    """The place of each file, for files in the order of collection: those of each directory are spread over the run.

    One after the other, the directories whose tests wait (kills, leases) would leave the processors idle, and those
    whose tests compute would make all others late. Unit tests begin later and fill the end: no file of them is long.
    """
    rooms: dict[str, list[str]] = {}
    for file in dict.fromkeys(files):
        rooms.setdefault(file.rpartition("/")[0], []).append(file)
    instants = {}
    for room_files in rooms.values():
        for index, file in enumerate(room_files):
            instant = (index + 0.5) / len(room_files)
            instants[file] = 1 + instant if file.startswith(UNIT) else instant
    return {file: place for place, file in enumerate(sorted(instants, key=instants.__getitem__))}
