"""Cutting what a server sends into frames, wherever the network has cut it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from sockudo_publisher.dev.subscriber import MAX_FRAME_BYTES, frames_of

pytestmark = pytest.mark.unit

SMALL = st.binary(max_size=40)
LARGE = st.sampled_from([125, 126, 127, 65_535, 65_536]).map(lambda size: b"x" * size)
FRAMES = st.one_of(
    st.tuples(st.sampled_from([Opcode.PING, Opcode.CLOSE]), SMALL), st.tuples(st.just(Opcode.TEXT), SMALL | LARGE)
)


@given(st.lists(FRAMES, max_size=6), st.lists(st.integers(1, 70_000), max_size=8))
def test_frames_come_out_as_they_went_in(frames, cuts):
    """Sizes of all three kinds, cut anywhere; nothing is taken twice, nothing is left."""
    stream = b"".join(Frame(opcode, payload).serialize(mask=False) for opcode, payload in frames)
    buffer, found, at = bytearray(), [], 0
    for size in [*cuts, len(stream) + 1]:
        buffer += stream[at : at + size]
        at += size
        found += frames_of(buffer)
    assert found == [(int(opcode), payload) for opcode, payload in frames]
    assert buffer == b""


@pytest.mark.parametrize(
    "frame",
    [
        Frame(Opcode.TEXT, b"a").serialize(mask=True),
        Frame(Opcode.TEXT, b"a", fin=False).serialize(mask=False),
        b"\xc1\x01a",
        b"\x81\x7f" + (MAX_FRAME_BYTES + 1).to_bytes(8, "big"),
    ],
    ids=["masked", "fragment", "compressed", "huge"],
)
def test_what_a_server_does_not_send_is_an_error(frame):
    """Rather than a wrong count."""
    with pytest.raises(ValueError, match="frame"):
        frames_of(bytearray(frame))
