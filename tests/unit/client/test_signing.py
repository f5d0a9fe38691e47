"""Signing against the vectors of the other SDKs (docs/sdks.md, Requests and vectors) and the server's rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.client.http.signing import AUTH_PARAMETERS, Signer, body_md5, hmac_hex, string_to_sign
from sockudo_publisher.errors import ValidationError

pytestmark = pytest.mark.unit

A = Signer("278d425bdf160c739803", "7ad3773142a6692b25b8")
B = Signer("d41a439c438a100756f5", "4bf35003e819bb138249")
N = Signer("f00d", "tofu")
K = Signer("k", "secret")
SESSION = "/apps/102015/channels/presence-session-d41a439c438a100756f5-4bf35003e819bb138249-"

VECTORS = {
    "S1": (
        (A, "POST", "/apps/3/events", 1353088179),
        b'{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}',
        {},
        "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c",
    ),
    "S2": (
        (B, "GET", "/apps/102015/channels", 1427034994),
        None,
        {"filter_by_prefix": "presence-", "info": "user_count"},
        "4d8a02edcc8a758b0162cd6da690a9a45fb8ae326a276dca1e06a0bc42796c11",
    ),
    "S3": (
        (B, "GET", "/apps/102015/channels", 1427036577),
        None,
        {"filter_by_prefix": "presence-"},
        "b540383af4582af5fbb5df7be5472d54bd0838c9c2021c7743062568839e6f97",
    ),
    "S4": (
        (B, "GET", "/apps/102015/channels", 1427036787),
        None,
        {},
        "df89248f87f6e6d028925e0b04d60f316527a865992ace6936afa91281d8bef0",
    ),
    "S5": (
        (B, "GET", SESSION + "ROpCFmgFhXY", 1427053326),
        None,
        {"info": "user_count,subscription_count"},
        "f93ceb31f396aef336226efe512aaf339bd5e39c7c2c04b81cc8681dc16ee785",
    ),
    "S6": (
        (B, "GET", SESSION + "nYJLy67qh52/users", 1427053709),
        None,
        {},
        "207feaf4e8efeb24e5f148011704251bf90e2059a5f97a3eb52d06178b11feca",
    ),
    "S7": (
        (B, "GET", "/apps/102015/push/channelSubscriptions", 1427036787),
        None,
        {"deviceId": "device-1", "limit": "10"},
        "ef278c842c8666913c977fc404a858114a9891d9085f3b4aa095b3aef8fb9884",
    ),
    "S8": (
        (N, "GET", "/event", 1234567890),
        b"example body",
        {},
        "a650196dc427ebe837226f8565ca9232198c6d1b9455eaa72374a9dc0b620e7b",
    ),
    "S9": (
        (N, "GET", "/event", 1234567890),
        None,
        {"foo": "bar", "baz": "123454321"},
        "d8bdbd31911fb7400a14fbd36fd7de053494725b64400ae5856deafe304b34a9",
    ),
    "S10": (
        (N, "GET", "/apps/1234/push/channelSubscriptions", 1234567890),
        None,
        {"deviceId": "device-1", "limit": "10"},
        "8fbde2ee60a73d4a4f9fd690f4c2488bad166d3f04a0d6182e7e8211941686f7",
    ),
    "S11": (
        (K, "POST", "/apps/1/users/a%20b%2F%C3%BC/terminate_connections", 1600000000),
        b"{}",
        {},
        "4aa8d283f1aa319ad4790c3e37d505b111c1a5dda6f9ea39b7101bbe6d560bd3",
    ),
    "S12": (
        (K, "GET", "/apps/1/channels", 1600000000),
        None,
        {"filter_by_prefix": "a b+c&d=é"},
        "4f236981052327cb0e5b7914aa77fb7766792da2ec6a46d315367acb717bd031",
    ),
}


@pytest.mark.parametrize(("request_", "body", "parameters", "expected"), VECTORS.values(), ids=VECTORS.keys())
def test_signature_is_that_of_the_other_sdks(request_, body, parameters, expected):
    """Every published signing vector comes out to the letter."""
    signer, method, path, now = request_
    query = signer.query(method, path, now=now, body=body, parameters=parameters)
    assert query.endswith(f"&auth_signature={expected}")


def test_names_keep_their_case_and_values_are_encoded():
    """Signed lower-case and decoded, sent as given and encoded: what the server expects."""
    assert "&deviceId=device-1&" in B.query("GET", "/x", now=1, parameters={"deviceId": "device-1"})
    query = K.query("GET", "/x", now=1, parameters={"filter_by_prefix": "a b+c&d=é"})
    assert "&filter_by_prefix=a+b%2Bc%26d%3D%C3%A9&" in query


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}',
            "ec365a775a4cd0599faeb73354201b6f",
        ),
        (b"example body", "165d5e6d7ca8f73b3853ce45addf42fc"),
        (b"Hello!", "952d2c56d0485958336747bcdd98590d"),
        (b"", "d41d8cd98f00b204e9800998ecf8427e"),
        (b"{}", "99914b932bd37a50b983c5e7c90ae93b"),
        (b'{"foo":"one","bar":[1,2,3],"baz":4321}', "12bf5995ac4b1285a6d87b2dafb92590"),
    ],
)
def test_body_digest(body, expected):
    """The digest of a body is its plain MD5."""
    assert body_md5(body) == expected


def test_hmac_primitive():
    """HMAC-SHA256 as in the Go SDK's test."""
    expected = "64e3f44166575febbc5de88c9476325ea7d4b3684752158d9fdb31fce34b980d"
    assert hmac_hex(b"supersecret", b"Hello!") == expected


def test_body_md5_goes_with_a_body_and_only_with_one():
    """An empty body has a digest too; no body has none, as the server refuses it on GET."""
    assert "body_md5=d41d8cd98f00b204e9800998ecf8427e" in K.query("POST", "/x", now=1, body=b"")
    assert "body_md5" not in K.query("GET", "/x", now=1)


@pytest.mark.parametrize("name", [*sorted(AUTH_PARAMETERS), "AUTH_KEY", "Body_MD5"])
def test_names_of_signing_are_refused(name):
    """A call's own parameter cannot replace one that signing adds."""
    with pytest.raises(ValidationError, match="belongs to signing"):
        K.query("GET", "/x", now=1, parameters={name: "1"})


def test_names_that_differ_in_case_only_are_refused():
    """The server would keep one of the two and the signature would not hold."""
    with pytest.raises(ValidationError, match="twice"):
        K.query("GET", "/x", now=1, parameters={"deviceId": "1", "deviceid": "2"})


def test_timestamp_is_whole_seconds():
    """The server reads an integer."""
    assert "auth_timestamp=1600000000&" in K.query("GET", "/x", now=1600000000.97)


def test_key_is_signed_decoded_and_sent_encoded():
    """A key with reserved characters survives the query string."""
    query = Signer("a+b&c", "s").query("GET", "/x", now=1)
    assert query.startswith("auth_key=a%2Bb%26c&")
    text = string_to_sign("GET", "/x", {"auth_key": "a+b&c", "auth_timestamp": "1", "auth_version": "1.0"})
    assert query.endswith(hmac_hex(b"s", text.encode()))


@given(
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    body=st.none() | st.binary(max_size=50),
    parameters=st.dictionaries(st.sampled_from("abcxyzABC"), st.text(max_size=9), max_size=5),
)
def test_short_and_general_path_sign_the_same(method, body, parameters):
    """The signature is always that of the sorted, lower-cased, decoded parameters."""
    parameters = {name.lower(): value for name, value in parameters.items()}
    query = K.query(method, "/p", now=5, body=body, parameters=parameters)
    full = {"auth_key": "k", "auth_timestamp": "5", "auth_version": "1.0", **parameters}
    if body is not None:
        full["body_md5"] = body_md5(body)
    assert query.rpartition("=")[2] == K.sign(string_to_sign(method, "/p", full))


def test_repr_shows_nothing():
    """Neither key nor secret is in the signer's repr."""
    assert repr(Signer("the-key", "the-secret")) == "Signer(...)"
