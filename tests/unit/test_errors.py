"""Errors survive the way from one process to another."""

from __future__ import annotations

import pickle

import pytest

from sockudo_publisher import errors

pytestmark = pytest.mark.unit

EXAMPLES = [
    errors.BadRequest(400, "invalid_input", "words", 1.5),
    errors.SockudoConnectionError("no answer", sent=True),
    errors.ValidationError("data: 2 bytes", index=3, stored=2),
    errors.IdempotencyConflict("key", index=1),
    errors.JournalUnavailable("away", stored=None, message_id="m", stored_channels=("a",)),
    errors.BacklogFull("full"),
    errors.BulkError(5, 4, errors.BacklogFull("full")),
    errors.ConfigurationError("SOCKUDO_URL: not set"),
    errors.InvalidWebhook("no"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_error_is_the_same_after_pickling(error: errors.SockudoError) -> None:
    """Class, words and every attribute."""
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    plain, same = ({k: str(v) for k, v in one.__dict__.items()} for one in (error, again))
    assert plain == same
