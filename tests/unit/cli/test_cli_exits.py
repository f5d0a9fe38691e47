"""Exit codes: what each error means to the caller of the command."""

from __future__ import annotations

import kombu.exceptions
import pytest
import redis.exceptions

from sockudo_publisher import (
    AuthFailed,
    BacklogFull,
    BulkError,
    ConfigurationError,
    IdempotencyConflict,
    JournalUnavailable,
    ServerError,
    SockudoConnectionError,
    ValidationError,
)
from sockudo_publisher.cli.exits import ExitCode, exit_code

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(ConfigurationError("SOCKUDO_URL: not set"), ExitCode.USAGE, id="setting"),
        pytest.param(ValidationError("channel: 212 bytes, limit 200"), ExitCode.USAGE, id="argument"),
        pytest.param(JournalUnavailable("refused", stored=False), ExitCode.UNREACHABLE, id="redis"),
        pytest.param(SockudoConnectionError("refused", sent=False), ExitCode.UNREACHABLE, id="sockudo"),
        pytest.param(redis.exceptions.ConnectionError("refused"), ExitCode.UNREACHABLE, id="redis-py"),
        pytest.param(redis.exceptions.TimeoutError("slow"), ExitCode.UNREACHABLE, id="redis-py timeout"),
        pytest.param(redis.exceptions.ResponseError("WRONGTYPE"), ExitCode.FAILED, id="redis answers"),
        pytest.param(kombu.exceptions.OperationalError("refused"), ExitCode.UNREACHABLE, id="broker"),
        pytest.param(BacklogFull("full"), ExitCode.FAILED, id="full"),
        pytest.param(IdempotencyConflict("key: used before"), ExitCode.FAILED, id="conflict"),
        pytest.param(AuthFailed(401), ExitCode.FAILED, id="401"),
        pytest.param(ServerError(500), ExitCode.FAILED, id="500"),
        pytest.param(
            BulkError(5, 5, JournalUnavailable("away", stored=None)), ExitCode.UNREACHABLE, id="redis went away midway"
        ),
        pytest.param(BulkError(5, 5, BacklogFull("full")), ExitCode.FAILED, id="full midway"),
        pytest.param(BulkError(5, 5, ValidationError("bad")), ExitCode.FAILED, id="bad midway"),
        pytest.param(RuntimeError("a bug"), ExitCode.FAILED, id="anything else"),
    ],
)
def test_each_error_has_its_exit_code(error, code):
    """0 done, 1 failed, 2 usage, 3 unreachable (docs/cli.md)."""
    assert exit_code(error) is code
