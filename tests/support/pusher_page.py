"""A page with pusher-js, in Node: what it is given, one line each."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

__all__ = ["SOON_S", "Page"]

#: What the page runs.
PROGRAM = Path(__file__).resolve().parents[1] / "integration" / "client" / "node" / "subscribe.cjs"
LIBRARY = "pusher-js"
#: Seconds for what is expected to be printed, on a machine with a lot to do.
SOON_S = 60.0


class Page:
    """subscribe.cjs in Node; what it prints, in order."""

    def __init__(self, node_modules: Path, **wish: Any) -> None:
        self.said: list[dict[str, Any]] = []
        wish = {"library": LIBRARY, "modules": str(node_modules), **wish}
        self._process = subprocess.Popen(
            ["node", str(PROGRAM), json.dumps(wish)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._readers = [threading.Thread(target=self._read), threading.Thread(target=self._read_errors)]
        self.complaints = ""
        for reader in self._readers:
            reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.said.append(json.loads(line))

    def _read_errors(self) -> None:
        assert self._process.stderr
        self.complaints = self._process.stderr.read()

    def wait_for(self, key: str, count: int) -> list[dict[str, Any]]:
        """Until this number of lines has the key."""
        deadline = time.monotonic() + SOON_S
        while len(lines := [line for line in self.said if key in line]) < count:
            lives = self._process.poll() is None
            assert lives or len([line for line in self.said if key in line]) >= count, (self.said, self.complaints)
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)
        return lines

    def events(self, count: int) -> list[tuple[str | None, str, Any]]:
        """Until the page has received this number of events."""
        return [(line["channel"], line["event"], line["data"]) for line in self.wait_for("event", count)]

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()  # it ends by itself then
        try:
            self._process.wait(SOON_S)
        finally:
            self._process.kill()
            for reader in self._readers:
                reader.join(SOON_S)
            for stream in (self._process.stdout, self._process.stderr):
                assert stream
                stream.close()
