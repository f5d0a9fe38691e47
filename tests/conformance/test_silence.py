"""A client that says nothing. A file of its own: half a minute of waiting, beside the other files."""

from __future__ import annotations

import pytest

from tests.conformance.fact import Promise, fact
from tests.conformance.setups import IMPATIENT
from tests.conformance.targets import Target

pytestmark = pytest.mark.integration


@fact(
    "socket.silent",
    "A silent client is sent a ping when its activity timeout is over, and is closed with 4201 if no pong comes",
    promise=Promise.CLIENT,
    source="12-codes-of-websockets",
)
def test_silent_client(target: Target):
    with target.node(IMPATIENT).socket() as socket:
        timeout = socket.data_of(socket.greeting)["activity_timeout"]
        closed = socket.closed(120.0)
        return {"activity_timeout": timeout, "closed": closed, "frames": [frame["event"] for frame in socket.frames]}
