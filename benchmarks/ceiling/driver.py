"""The ceiling's driver where there is no C compiler: a process per request in flight, each with its share of the file.

Takes the same arguments and prints the same lines as ``ceiling.c``. Slower than it: what it shows is no ceiling.
"""

from __future__ import annotations

import mmap
import multiprocessing
import resource
import socket
import struct
import sys
import time


def requests(file: str) -> list[tuple[int, int, int]]:
    """(start, end, events) of every request in the file."""
    found, at = [], 0
    with open(file, "rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        while at < len(data):
            size, events = struct.unpack_from("=II", data, at)
            found.append((at + 8, at + 8 + size, events))
            at += 8 + size
    return found


def send(port: int, file: str, part: list[tuple[int, int, int]], start: float) -> list[tuple[float, int]]:
    """Send some requests one by one; (seconds, events) of each."""
    done = []
    with open(file, "rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for begin, end, events in part:
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                connection.sendall(data[begin:end])
                head = b""
                while got := connection.recv(65_536):
                    head = head or got
            if head[8:12] != b" 200":
                raise SystemExit(f"answer: {head[:16]!r}")
            done.append((time.monotonic() - start, events))
    return done


def main(port: int, file: str, in_flight: int) -> None:
    """Distribute the requests in turn, and print their results in the order of time."""
    todo, start = requests(file), time.monotonic()
    with multiprocessing.Pool(in_flight) as pool:
        parts = pool.starmap(send, [(port, file, todo[index::in_flight], start) for index in range(in_flight)])
        pool.close()
        pool.join()
    for seconds, events in sorted(line for part in parts for line in part):
        print(f"{seconds:.6f} {events}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"CPU {used.ru_utime + used.ru_stime:.6f}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
