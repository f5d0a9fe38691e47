"""Revocations on the wire."""

import pytest

from sockudo_publisher.errors import ValidationError

pytestmark = pytest.mark.unit


def test_revocation(wire):
    """What is given, under the server's names."""
    wire.answer = lambda _: {"revoked_jti": True, "revoked_client_id": False, "closed_connections": 2}
    assert wire.client.revoke_tokens(jti="token-1")["closed_connections"] == 2
    wire.client.revoke_tokens(jti="token-1", client_id="user-1", ttl_seconds=60, reason="left")
    wire.client.revoke_tokens(client_id="user-1", expires_at=2_000_000_000)
    assert [(sent.method, sent.path) for sent in wire.sent] == [("POST", "/revocations")] * 3
    assert [sent.json() for sent in wire.sent] == [
        {"jti": "token-1"},
        {"jti": "token-1", "client_id": "user-1", "ttl_seconds": 60, "reason": "left"},
        {"client_id": "user-1", "expires_at": 2_000_000_000},
    ]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "jti: neither it nor client_id"),
        ({"ttl_seconds": 5}, "jti: neither it nor client_id"),
        ({"jti": ""}, "jti: empty, limit 128 bytes"),
        ({"jti": "x" * 129}, "jti: 129 bytes, limit 128"),
        ({"client_id": "ü" * 65}, "client_id: 130 bytes, limit 128"),
        ({"client_id": 5}, "client_id: a int"),
        ({"jti": "x", "ttl_seconds": 0}, "ttl_seconds: 0, must be at least 1"),
        ({"jti": "x", "ttl_seconds": 1.5}, "ttl_seconds: a float"),
        ({"jti": "x", "expires_at": -1}, "expires_at: -1, must be at least 0"),
        ({"jti": "x", "expires_at": 5, "ttl_seconds": 5}, "ttl_seconds: given together with expires_at"),
        ({"jti": "x", "reason": "x" * 1025}, "reason: 1025 bytes, limit 1024"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(wire, options, complaint):
    """The server says 401 to a revocation for no user, which is misleading."""
    with pytest.raises(ValidationError, match=complaint):
        wire.client.revoke_tokens(**options)
    assert wire.sent == []
