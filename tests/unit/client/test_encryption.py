"""End-to-end encryption against the vectors of the other SDKs (docs/sdks.md, Requests and vectors)."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.client.wire import encryption
from sockudo_publisher.errors import ConfigurationError, ValidationError

pytestmark = pytest.mark.unit

NODE_KEY = base64.b64decode("zyrm8pvV2C9fJcBfhyXzvxbJVN/H7QLmbe0xJi1GhPU=")
GO_SECRET = bytes.fromhex("004831f99d2a4e86723e893caded3a2897deeddbed9514fe9497dcddc52bd50b")
RUBY_TEXT = b"3W1pfB/Etr+ZIlfMWwZP3gz8jEeCt4s2pe6Vpr+2c3M="


@pytest.mark.parametrize(
    ("channel", "key", "secret"),
    [
        ("private-encrypted-bla", NODE_KEY, "nlr49ISQHz91yS3cy/yWmW8wFMNeTnNL5tNHnbPJcLQ="),
        ("private-encrypted-bla", b"This is a string that is 32 chars", base64.b64encode(GO_SECRET).decode()),
        ("private-encrypted-channel-a", b"a" * 32, "Rp+wpkNpL89qhqco1JkIG31AVXyU8PUVJBr1B2MvdoA="),
        ("private-encrypted-test", b"The 32 chars long encryption key", "1O0FFr6NiG4d9D4A5bWBh3EG9Y/wfjzqw172LUXwVQ4="),
        ("private-encrypted-1", RUBY_TEXT, "6zeEp/chneRPS1cbK/hGeG860UhHomxSN6hTgzwT20I="),
        ("private-encrypted-test_channel", RUBY_TEXT, "o0L3QnIovCeRC8KTD8KBRlmi31dGzHVS2M93uryqDdw="),
        (
            "private-encrypted-my-channel",
            base64.b64decode("hsRSqt4JEOd4bu2ww+F7e94BZsMBmELIUMHfhpTml2w="),
            "/bSIwjuvB05J66qC+E+BX/1p/X7Ti6iIhQRIYY2RDY0=",
        ),
    ],
    ids=["E1", "E2", "E3", "E4", "E5", "E6", "E7 interoperable"],
)
def test_shared_secret_is_that_of_the_other_sdks(channel, key, secret):
    """SHA-256 of the channel's name and the key's bytes."""
    assert base64.b64encode(encryption.shared_secret(channel, key)).decode() == secret


def test_secretbox_of_the_go_sdk():
    """The published ciphertext, both ways."""
    nonce = base64.b64decode("sjklahvpWWQgAjTx5FfYHCCxd2AmaL9T")
    envelope = encryption.seal(b"Hello!", GO_SECRET, nonce=nonce)
    assert envelope == ('{"nonce":"sjklahvpWWQgAjTx5FfYHCCxd2AmaL9T","ciphertext":"zoDEe8dA3nDXKsybAWce/hXGW4szJw=="}')
    assert encryption.open_envelope(envelope, GO_SECRET) == b"Hello!"


@pytest.mark.parametrize(
    ("plaintext", "ciphertext"),
    [
        (b"Hello!", "W+mXVfti6CbgLeJQq+SAeTJldi2bCg=="),
        (b'"Hello!"', "7UR2va4QoZkzI/r8Bqslc1hIfy2YRD+J"),
        (b'{"a":1}', "CUFmBjDuGg6L1wLSlhoZPwEie2POGmM="),
    ],
)
def test_secretbox_with_the_node_key(plaintext, ciphertext):
    """Fixed nonce 0..23."""
    secret = encryption.shared_secret("private-encrypted-bla", NODE_KEY)
    envelope = encryption.seal(plaintext, secret, nonce=bytes(range(24)))
    assert json.loads(envelope) == {"nonce": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "ciphertext": ciphertext}


@given(st.binary(max_size=200))
def test_what_is_sealed_opens_again_and_never_looks_the_same(plaintext):
    """Round trip, with a fresh nonce each time."""
    secret = encryption.shared_secret("private-encrypted-x", b"k" * 32)
    first, second = encryption.seal(plaintext, secret), encryption.seal(plaintext, secret)
    assert first != second
    assert encryption.open_envelope(first, secret) == encryption.open_envelope(second, secret) == plaintext


@given(
    st.text(alphabet="ab", min_size=1, max_size=5),
    st.text(alphabet="ab", max_size=5).map(str.encode),
    st.text(alphabet="ab", min_size=1, max_size=5),
    st.text(alphabet="ab", max_size=5).map(str.encode),
)
def test_nonce_is_one_events_alone(one_id, one, other_id, other):
    """The same for the same event; another id, payload or channel has another."""
    secret = encryption.shared_secret("private-encrypted-x", b"k" * 32)
    nonce = encryption.nonce_of(one_id, one, secret)
    assert len(nonce) == 24
    assert (nonce == encryption.nonce_of(other_id, other, secret)) == ((one_id, one) == (other_id, other))
    assert nonce != encryption.nonce_of(one_id, one, encryption.shared_secret("private-encrypted-y", b"k" * 32))


def test_another_secret_does_not_open_it():
    """A wrong key is an error, not garbage; and the error holds neither."""
    envelope = encryption.seal(b"Hello!", GO_SECRET)
    with pytest.raises(ValidationError, match="does not decrypt") as caught:
        encryption.open_envelope(envelope, b"This is an invalid key 32 chars!")
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello!",
        "1",
        "null",
        "[]",
        "{}",
        '{"nonce":"a"}',
        '{"nonce":"a","ciphertext":"b"}',
        '{"nonce":1,"ciphertext":2}',
    ],
)
def test_what_is_no_envelope(text):
    """Refused before any key is tried."""
    assert not encryption.is_envelope(text)
    with pytest.raises(ValidationError, match="not an encryption envelope"):
        encryption.open_envelope(text, GO_SECRET)


@pytest.mark.parametrize(
    "text", ["dGhpcyBpcyAzMiBieXRlcyAxMjM0NTY3ODkwMTIzNDU=", "dGhpcyBrZXkgaGFzIG5vbnByaW50YWJsZSBjaGFyIAA="]
)
def test_master_key_accepted(text):
    """32 bytes, the last of which may be NUL."""
    assert len(encryption.decode_master_key(text)) == 32


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("dGhpcyBpcyAzMSBieXRlcyAxMjM0NTY3ODkwMTIzNA==", "31 bytes, must be 32"),
        ("dGhpcyBpcyAzMiBieXRlcyAxMjM0NTY3ODkwMTIzNDU2", "33 bytes, must be 32"),
        ("dGhpcyBpcyAzMSBieXRlcyAxMjM0NTY3ODkwMTIzNDU2", "33 bytes, must be 32"),
        ("dGhp!yBpcyAzMiBieXRlcy#xMjM0NTY3ODkwMTIzNDU=", "not base64"),
        ("dGhpcyBpcyAzMyBi!XRlcyAxMjM0NTY3ODkw#TIzNDU2", "not base64"),
        ("aGkgd(GhlcmUK", "not base64"),
        ("dGhpcyBpcyAzMiBieXRlcyAxMjM0NTY3ODkwMTIzNDU", "not base64"),
        ("dGhpcyBpcyAzMiBieXRlcyAxMjM0NTY3ODkwMTIzNDV=", "not base64"),
        (" dGhpcyBpcyAzMiBieXRlcyAxMjM0NTY3ODkwMTIzNDU=", "not base64"),
        ("ü", "not base64"),
        ("", "0 bytes, must be 32"),
        (b"dGhpcyBpcyAzMSBieXRlcyAxMjM0NTY3ODkwMTIzNA==", "31 bytes, must be 32"),
        (b"\xff", "not base64"),
        (5, "a int"),
    ],
)
def test_master_key_refused(text, complaint):
    """Strictly: what Python's decoder would forgive is a typing error in a key."""
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        encryption.decode_master_key(text)
    assert not text or str(text) not in str(caught.value)


def test_encrypted_by_prefix():
    """The whole prefix, at the start."""
    assert encryption.is_encrypted("private-encrypted-test")
    assert not encryption.is_encrypted("private-encrypted")
    assert not encryption.is_encrypted("test-private-encrypted")
