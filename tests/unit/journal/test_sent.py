"""What an event loop sees of an answer that has come, or not: a look takes nothing away."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from sockudo_publisher.journal.producer import stores_all
from sockudo_publisher.journal.redis.scripts import Answer
from sockudo_publisher.journal.redis.sent import NOT_WHOLE, AnswerSocket, Sent, plain_socket

pytestmark = pytest.mark.unit

STORED = b"*1\r\n:4\r\n"


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def sent_on(own: object) -> Sent:
    return Sent(("EVALSHA", "sha", "secret payload"), SimpleNamespace(_sock=own))


def test_answer_is_seen_and_stays_to_be_read(ends: tuple[socket.socket, socket.socket]) -> None:
    """Nothing, a part, the whole; and what was seen is still there."""
    ours, theirs = ends
    answers = AnswerSocket(sent_on(ours))
    assert answers.look() is NOT_WHOLE
    theirs.sendall(STORED[:5])
    assert answers.look() is NOT_WHOLE
    theirs.sendall(STORED[5:])
    assert answers.look() == answers.look() == [4]
    assert ours.recv(100) == STORED
    assert answers.look() is NOT_WHOLE
    answers.close()
    theirs.sendall(STORED)
    assert ours.recv(100) == STORED, "the connection is open, and waits for answers as before"


def test_ended_connection_has_no_answer(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    answers = AnswerSocket(sent_on(ours))
    theirs.close()
    assert answers.look() is None
    answers.close()
    with pytest.raises(OSError, match="no connection"):
        AnswerSocket(sent_on(None))


def test_own_number_is_not_that_of_the_connection(ends: tuple[socket.socket, socket.socket]) -> None:
    """Another thread may close the connection, and the system give its number to a new socket."""
    ours, theirs = ends
    answers = AnswerSocket(sent_on(ours))
    assert answers.fileno() != ours.fileno()
    ours.close()
    theirs.sendall(STORED)
    assert answers.look() == [4]
    answers.close()


def test_tls_shows_nothing(ends: tuple[socket.socket, socket.socket]) -> None:
    """Its bytes are no answer before they are decrypted, and then they are no longer in the socket."""
    ours, _ = ends
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with context.wrap_socket(ours, server_hostname="redis.example", do_handshake_on_connect=False) as encrypted:
        assert plain_socket(SimpleNamespace(_sock=encrypted)) is None
    assert plain_socket(SimpleNamespace()) is None


@pytest.mark.parametrize(
    ("answer", "is_stored"),
    [
        *(([code.value], code in (Answer.DONE, Answer.RING)) for code in Answer),
        ([Answer.DONE.value, 1, 7], False),
        ([], False),
        (None, False),
        (NOT_WHOLE, False),
        (b"OK", False),
        (1, False),
        (Exception("NOSCRIPT"), False),
    ],
)
def test_only_the_usual_answer_says_that_all_is_stored(answer: object, is_stored: bool) -> None:
    assert stores_all(answer) is is_stored


def test_command_is_not_shown() -> None:
    assert "payload" not in repr(sent_on(None))
