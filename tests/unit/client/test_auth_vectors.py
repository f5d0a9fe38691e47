"""Channel and user authentication against the vectors of the other SDKs (docs/sdks.md, Requests and vectors)."""

import base64

import pytest

from sockudo_publisher.client.api.authentication import channel_auth, user_auth
from sockudo_publisher.client.http.signing import Signer
from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.client.wire.encoding import Encoder
from sockudo_publisher.errors import ConfigurationError, ValidationError

pytestmark = pytest.mark.unit

A = ("278d425bdf160c739803", "7ad3773142a6692b25b8")
PHP = ("thisisaauthkey", "thisisasecret")
SWIFT = ("auth_key", "auth_secret")
RUBY = ("12345678900000001", "12345678900000001")
ODD = "ą§¶™€łü€ß£"
MASTER_KEY = "zyrm8pvV2C9fJcBfhyXzvxbJVN/H7QLmbe0xJi1GhPU="
E1 = "nlr49ISQHz91yS3cy/yWmW8wFMNeTnNL5tNHnbPJcLQ="

#: id: (key, secret), socket id, channel, channel data as text, signature.
CHANNELS = {
    "A1": (A, "1234.1234", "private-foobar", None, "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"),
    "A2": (
        A,
        "1234.1234",
        "presence-foobar",
        '{"user_id":"10","user_info":{"name":"Mr. Sockudo"}}',
        "6aa46f081231a05c0d8a13377261ec8d23671be2d64764e0681fb44dd39a57ad",
    ),
    "A3": (
        A,
        "1234.1234",
        "presence-foobar",
        '{"user_id":10,"user_info":{"name":"Mr. Sockudo"}}',
        "2ac29a1d016a99a3605ea3b903450c61b8f9b301d9f7fd7da65d7ec7c17d69f9",
    ),
    "A4": (
        A,
        "1234.1234",
        "private-azAZ9_=@,.;",
        None,
        "208cbbce2a22fd7d7c3509046b17a97b99d345cf4c195bc0d54af9004a022b0b",
    ),
    "A10": (("", "tofu"), "123.456", "test", None, "efa6cf7644a0b35cba36aa0f776f3cbf7bb60e95ea2696bde1dbe8403b61bd7c"),
    "A11a": (("", "tofu"), "321.654", "test", None, "f6ecb0a17d3e4f68aca28f1673197a7608587c09deb0208faa4b5519aee0a777"),
    "A11b": (
        ("", "tofu"),
        "123.456",
        "test1",
        None,
        "d5ab857f805433cb50562da96afa41688d7742a3c3a021ed15a4d991a4d8cf94",
    ),
    "A11c": (
        ("", "tofu"),
        "123.456",
        "test2",
        None,
        "43affa6a09af1fb9ce1cadf176171346beaf7366673ec1e5920f68b3e97a466d",
    ),
    "A12a": (("", "1"), "123.456", "test", None, "584828bd6e80b2d177d2b28fde07b8e170abf87ccb5a791a50c933711fb8eb28"),
    "A12b": (("", "2"), "123.456", "test", None, "269bbf3f7625db4e0d0525b617efa5915c3ae667fd222dc8e4cb94bc531f26f2"),
    "A13": (
        ("", "tofu"),
        "123.456",
        "test",
        '{"foo":"bar"}',
        "f41faf9ead2ea76772cc6b1168363057459f02499ae4d92e88229dc7f4efa2d4",
    ),
    "A14": (
        ("", "tofu"),
        "1.1",
        "test",
        f'"{ODD}"',
        "2a229263e89d9c50524fd80c2e88be2843379f6931e28995e2cc214282c9db0c",
    ),
    "A15": (
        ("f00d", "tofu"),
        "123.456",
        "private-encrypted-bla",
        '"foo"',
        "962c48b78bf93d98ff4c92ee7dff04865821455b7b401e9d60a9e0a90af2c105",
    ),
    "A16": (
        ("f00d", "tofu"),
        "123.456",
        "bla",
        '"foo"',
        "013ad3da0d88e0df6ae0a8184bef50b9c3933f2344499e6e3d1ad67fad799e20",
    ),
    "A17": (
        ("f00d", "tofu"),
        "123.456",
        "private-encrypted-bla",
        '{"user_id":"foo","user_info":{}}',
        "0a1e5e682436bc35f8abd6b1b22df7bcee7e436ec9801f15fb2e61500f39ba19",
    ),
    "A18": (
        PHP,
        "1.1",
        "testing_sockudo-php",
        None,
        "409ba7df1e4aa4433af9639cbb2849c21787a279d260d9f64f0cea8ed04ceae2",
    ),
    "A19": (
        PHP,
        "45055.28877557",
        "-azAZ9_=@,.;",
        None,
        "d1c20ad7684c172271f92c108e11b45aef07499b005796ae1ec5beb924f361c4",
    ),
    "A20": (
        PHP,
        "45055.28877557",
        "-azAZ9_=@,.;",
        '{"user_id": "123"}',
        "3b3f1dcc4d7d2f95dd10ed05562397b3287b102d4cccfacbf30eed2f1ffa3d69",
    ),
    "A23": (RUBY, "1.1", "test_channel", None, "02259dff9a2a3f71ea8ab29ac0c0c0ef7996c8f3fd3702be5533f30da7d7fed4"),
    "A24": (
        SWIFT,
        "123.456",
        "private-my-channel",
        None,
        "3a06323ca30ff1a5e70078a6f995cab691a1005915efe5e68f966c877dd2e990",
    ),
    "A25": (
        SWIFT,
        "123.456",
        "presence-my-channel",
        '{"user_id":"user_1"}',
        "fbd326ddf91a43f884782074df8584a9707b5b32ecdd6b174e9cabb6a965580c",
    ),
    "A26": (
        SWIFT,
        "123.456",
        "presence-my-channel",
        '{"user_id":"user_1","user_info":{"name":"Joe Bloggs"}}',
        "18ec1dbc58c9d048c917e44690abf2c87ae954743cdbc7967682b396d36210f4",
    ),
    "A27": (
        SWIFT,
        "123.456",
        "private-encrypted-my-channel",
        None,
        "87d2a92fdd48d825606e714d77f63d64b1e6bdf26c309cbb7a847b00f4327b37",
    ),
}

#: id: (key, secret), socket id, user data, its text, signature.
USERS = {
    "A5": (
        ("key", "secret"),
        "12345.12345",
        {"id": "1234"},
        '{"id":"1234"}',
        "e4c63b82c1e1d0955901f6a29ca51b244155bafda93968bc5664010f5ba54a41",
    ),
    "A7": (
        ("aaaa", "tofu"),
        "123.456",
        {"id": "55555", "user_name": "test"},
        '{"id":"55555","user_name":"test"}',
        "b8a9f173455903792ae2b788add0c4c78ad7372b3ae7fb5769479276a1993743",
    ),
    "A9": (
        ("aaaa", "tofu"),
        "1.1",
        {"id": ODD},
        f'{{"id":"{ODD}"}}',
        "620494cee53d6c568b49598313194088afda37218f0d059af03c0c898ed61ff4",
    ),
    "A21": (
        PHP,
        "12345.6789",
        {"id": "123"},
        '{"id":"123"}',
        "fc713f433deb729d0d96f9e26ef054285cbc3e833ebe840b93722a2fa16a6a18",
    ),
    "A22": (
        PHP,
        "12345.6789",
        {"id": "123", "name": "John Smith"},
        '{"id":"123","name":"John Smith"}',
        "0dddb208b53c7649f3fbbb86254a6e1986bc6f8b566423ea690c9ca773497373",
    ),
    **{
        f"A6-{key}": (
            (key, "tofu"),
            "123.456",
            {"id": "45678"},
            '{"id":"45678"}',
            "f4b1fdeea7c93e32648c7230e32b172057c5623cace6cfce791c6e7035e0babd",
        )
        for key in ("1234", "abcdef", "aaaa")
    },
    **{
        f"A8-{secret}": (("11111", secret), "123.456", {"id": "45678"}, '{"id":"45678"}', signature)
        for secret, signature in (
            ("1", "79bddf29fe8e2153dd5d8d569b3f45e5aeb26ae2eb4758879d844791b466cfa2"),
            ("2", "a542498ffa6faf6de7c17a8106b923c042319bd73acfd1d274df32e269b55d1f"),
        )
    },
}

#: What the client signs itself, from the caller's objects: id to custom_data.
CALLS = {
    "A1": None,
    "A2": {"user_id": "10", "user_info": {"name": "Mr. Sockudo"}},
    "A4": None,
    "A15": "foo",
    "A17": {"user_id": "foo", "user_info": {}},
    "A24": None,
    "A25": {"user_id": "user_1"},
    "A26": {"user_id": "user_1", "user_info": {"name": "Joe Bloggs"}},
    "A27": None,
}


@pytest.mark.parametrize("name", CHANNELS)
def test_channel_signature(name):
    """The text signed, whatever the channel: the check of names is the client's, not the signature's."""
    (key, secret), socket_id, channel, data, signature = CHANNELS[name]
    assert channel_auth(Signer(key, secret), socket_id, channel, data) == f"{key}:{signature}"


@pytest.mark.parametrize("name", CALLS)
def test_authenticate_signs_the_vector(name):
    """The same through the client, with the caller's objects as JSON."""
    (key, secret), socket_id, channel, data, signature = CHANNELS[name]
    client = Sockudo("1", key, secret, encryption_master_key_base64=MASTER_KEY)
    answer = client.authenticate(channel, socket_id, CALLS[name])
    assert answer["auth"] == f"{key}:{signature}"
    assert answer.get("channel_data") == data
    assert ("shared_secret" in answer) == channel.startswith("private-encrypted-")


@pytest.mark.parametrize("name", ["A10", "A13", "A14", "A16", "A18", "A19", "A20", "A23"])
def test_vectors_on_public_channels_are_not_signed_by_the_client(name):
    """Other SDKs sign for channels that need no signature; here it is a mistake that is named."""
    _, socket_id, channel, data, _ = CHANNELS[name]
    with pytest.raises(ValidationError, match="channel: public"):
        Sockudo("1", "k", "s").authenticate(channel, socket_id, data)


def test_a3_a_number_as_user_id_is_refused():
    """The signature is reproduced above; the server refuses such a member, so the client does before."""
    with pytest.raises(ValidationError, match=r"custom_data.user_id: a int, expected a str"):
        Sockudo("1", *A).authenticate("presence-foobar", "1234.1234", {"user_id": 10})


@pytest.mark.parametrize("name", USERS)
def test_user_signature(name):
    """The pure signature, and the client's whole answer."""
    (key, secret), socket_id, user_data, text, signature = USERS[name]
    assert user_auth(Signer(key, secret), socket_id, text) == f"{key}:{signature}"
    answer = Sockudo("1", key, secret).authenticate_user(socket_id, user_data)
    assert answer == {"auth": f"{key}:{signature}", "user_data": text}
    assert list(answer) == ["auth", "user_data"]


def test_shared_secrets_e1_e3_e4():
    """E1, E3, E4: master keys in base64."""
    for channel, master_key, secret in (
        ("private-encrypted-bla", MASTER_KEY, E1),
        (
            "private-encrypted-channel-a",
            base64.b64encode(b"a" * 32).decode(),
            "Rp+wpkNpL89qhqco1JkIG31AVXyU8PUVJBr1B2MvdoA=",
        ),
        (
            "private-encrypted-test",
            "VGhlIDMyIGNoYXJzIGxvbmcgZW5jcnlwdGlvbiBrZXk=",
            "1O0FFr6NiG4d9D4A5bWBh3EG9Y/wfjzqw172LUXwVQ4=",
        ),
    ):
        client = Sockudo("1", "k", "s", encryption_master_key_base64=master_key)
        answer = client.authenticate(channel, "1.1")
        assert answer["shared_secret"] == secret
        assert list(answer) == ["auth", "shared_secret"]
        own = Encoder(encryption_master_key_base64=master_key).channel_secret(channel)
        assert own is not None
        assert base64.b64encode(own).decode() == secret


def test_e7_the_interoperable_secret_of_swift_s_vector():
    """Swift hashes the text of the key; every other SDK, and this one, its bytes."""
    client = Sockudo("1", "k", "s", encryption_master_key_base64="hsRSqt4JEOd4bu2ww+F7e94BZsMBmELIUMHfhpTml2w=")
    secret = client.authenticate("private-encrypted-my-channel", "1.1")["shared_secret"]
    assert secret == "/bSIwjuvB05J66qC+E+BX/1p/X7Ti6iIhQRIYY2RDY0="


@pytest.mark.parametrize(
    "key",
    [
        "dGhpcyBpcyAzMSBieXRlcyAxMjM0NTY3ODkwMTIzNA==",
        "dGhpcyBpcyAzMiBieXRlcyAxMjM0NTY3ODkwMTIzNDU2",
        "dGhpcyBpcyAzMSBieXRlcyAxMjM0NTY3ODkwMTIzNDU2",
        "dGhp!yBpcyAzMiBieXRlcy#xMjM0NTY3ODkwMTIzNDU=",
        "dGhpcyBpcyAzMyBi!XRlcyAxMjM0NTY3ODkw#TIzNDU2",
        "aGkgd(GhlcmUK",
    ],
)
def test_master_keys_refused(key):
    """Not 32 bytes, or not base64: at construction, so that no subscriber gets a wrong secret."""
    with pytest.raises(ConfigurationError, match="encryption_master_key_base64"):
        Sockudo("1", "k", "s", encryption_master_key_base64=key)


@pytest.mark.parametrize(
    "key", ["dGhpcyBpcyAzMiBieXRlcyAxMjM0NTY3ODkwMTIzNDU=", "dGhpcyBrZXkgaGFzIG5vbnByaW50YWJsZSBjaGFyIAA="]
)
def test_master_keys_accepted(key):
    """32 bytes, printable or not."""
    client = Sockudo("1", "k", "s", encryption_master_key_base64=key)
    assert len(base64.b64decode(client.authenticate("private-encrypted-x", "1.1")["shared_secret"])) == 32


@pytest.mark.parametrize(
    ("channel", "encrypted"),
    [("private-encrypted-test", True), ("private-encrypted", False), ("presence-private-encrypted-test", False)],
)
def test_which_channels_are_encrypted(channel, encrypted):
    """By their whole prefix, at the start."""
    client = Sockudo("1", "k", "s", encryption_master_key_base64=MASTER_KEY)
    answer = client.authenticate(channel, "1.1", {"user_id": "1"} if channel.startswith("presence") else None)
    assert ("shared_secret" in answer) == encrypted
