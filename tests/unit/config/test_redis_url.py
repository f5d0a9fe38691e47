"""URLs of Redis and the broker: what is accepted, what is refused by name, and that nothing of them is echoed."""

from __future__ import annotations

import string

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from kombu import Connection
from kombu.transport import TRANSPORT_ALIASES

from sockudo_publisher.config.redis_url import RedisAddress, checked_broker_url
from sockudo_publisher.errors import ConfigurationError
from sockudo_publisher.redaction import without_credentials

pytestmark = pytest.mark.unit

SECRET = "topsecret"

GOOD = {
    "redis://127.0.0.1:6379/0": ("127.0.0.1", 6379, 0, "", ""),
    "redis://h": ("h", 6379, 0, "", ""),
    "redis://": ("localhost", 6379, 0, "", ""),
    "redis://:p%2Fw%23@h:1/12": ("h", 1, 12, "", "p/w#"),
    "redis://u:p@h?db=3": ("h", 6379, 3, "u", "p"),
    "redis://h/2?username=u&password=p&client_name=c&health_check_interval=5&socket_keepalive=no": (
        *("h", 6379, 2, "u", "p"),
    ),
    "redis://[::1]:6380/1": ("::1", 6380, 1, "", ""),
    "rediss://u:p@h:6380/1?ssl_cert_reqs=none&ssl_ca_certs=/ca.pem&ssl_check_hostname=false": ("h", 6380, 1, "u", "p"),
}

BAD = {
    "no scheme": "127.0.0.1:6379",
    "http": f"http://u:{SECRET}@h",
    "sentinel": f"sentinel://:{SECRET}@h:26379",
    "capitals": "REDIS://h",
    "empty": "redis:",
    "space": f"redis://:{SECRET} @h",
    "line end": f"redis://:{SECRET}@h\n",
    "port no number": f"redis://h:{SECRET}/0",
    "port 0": "redis://h:0",
    "port too large": "redis://h:65536",
    "bracket": f"redis://[{SECRET}/0",
    "host": f"redis://..{SECRET}/0",
    "path": f"redis://h/{SECRET}",
    "two paths": "redis://h/1/2",
    "two databases": "redis://h/1?db=2",
    "slash in the password": f"redis://:{SECRET}/x@127.0.0.1:6379/0",
    "slash behind digits": f"redis://u:12/{SECRET}@h:1/0",
    "hash in the password": f"redis://:{SECRET}#x@h:1/0",
    "hash behind a port": f"redis://u:12#{SECRET}@h:1/0",
    "question mark in the password": f"redis://:12?{SECRET}@h/0",
    "no query": f"redis://h?{SECRET}",
    "unknown parameter": f"redis://h/0?{SECRET}=1",
    "not UTF-8": "redis://:%ff@h",
    "database no number": f"redis://h?db={SECRET}",
    "health check": f"redis://h?health_check_interval={SECRET}",
    "keepalive": f"redis://h?socket_keepalive={SECRET}",
    "client name": "redis://h?client_name=a%20b",
    "TLS without rediss": "redis://h?ssl_cert_reqs=none",
    "certificates": f"rediss://h?ssl_cert_reqs={SECRET}",
    "socket with a host": f"unix://{SECRET}/redis.sock",
    "socket without a path": f"unix://:{SECRET}@",
    "socket with TCP": "unix:///redis.sock?socket_keepalive=1",
    **{
        f"our own {name}": f"redis://h?{name}=1"
        for name in (
            *("socket_timeout", "socket_connect_timeout", "timeout", "retry_on_timeout", "retry_on_error"),
            *("decode_responses", "max_connections", "protocol", "encoding", "legacy_responses"),
        )
    },
}


@pytest.mark.parametrize(("url", "expected"), GOOD.items(), ids=GOOD)
def test_address_is_what_redis_py_and_kombu_read(url: str, expected: tuple[object, ...]) -> None:
    """The same server, database and user, from our own reading, from redis-py's, and from kombu's of its form."""
    address = RedisAddress.from_url(url, setting="X")
    assert (address.host, address.port, address.database, address.username, address.password) == expected
    known = redis.ConnectionPool.from_url(url).connection_kwargs
    found = (known.get("host", "localhost"), known.get("port", 6379), known.get("db", 0))
    assert (*found, known.get("username", ""), known.get("password", "")) == expected
    with Connection(address.broker_url()) as broker:
        database = int((broker.virtual_host or "0").strip("/") or 0)
        assert (broker.hostname, broker.port, database, broker.userid or "", broker.password or "") == expected


@pytest.mark.parametrize("url", BAD.values(), ids=BAD)
def test_malformed_redis_url_is_refused_by_name(url: str) -> None:
    """Nothing of it is shown: a password may stand anywhere."""
    with pytest.raises(ConfigurationError, match=r"^SOCKUDO_REDIS_URL: ") as caught:
        RedisAddress.from_url(url, setting="SOCKUDO_REDIS_URL")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


_USER_INFO = st.text(string.ascii_letters + string.digits + ":/?#@%[]!$&+;=", min_size=1, max_size=12)


@given(_USER_INFO, st.sampled_from(["redis://:{}@h:1/0", "rediss://u:{}@h/0", "unix://:{}@/s", "redis://{}@h:1"]))
def test_any_password_is_read_or_refused_in_words_of_ours(password: str, form: str) -> None:
    """No other error comes out, and what passes is what redis-py can read."""
    url = form.format(password)
    try:
        RedisAddress.from_url(url, setting="X")
    except ConfigurationError as error:
        if not str(error).startswith("X: "):
            raise
    else:
        pool = redis.ConnectionPool.from_url(url)
        pool.connection_class(**pool.connection_kwargs)


def test_tls_is_verified_unless_the_url_says_otherwise() -> None:
    """As redis-py does; kombu alone would not look at the certificate, and Celery's backend would not start."""
    address = RedisAddress.from_url("rediss://:p@h:1/2", setting="X")
    assert address.broker_url() == "rediss://:p@h:1/2?ssl_cert_reqs=required"
    assert (address.backend_url(), address.tls) == ("rediss://:p@h:1/2", {"ssl_cert_reqs": "required"})
    lax = RedisAddress.from_url("rediss://h?ssl_cert_reqs=none&ssl_check_hostname=no&ssl_keyfile=/k", setting="X")
    assert lax.tls == {"ssl_cert_reqs": "none", "ssl_check_hostname": False, "ssl_keyfile": "/k"}
    with Connection(lax.broker_url()) as broker:
        assert broker.ssl == {"ssl_cert_reqs": 0, "ssl_check_hostname": False, "ssl_keyfile": "/k"}


def test_socket_is_written_as_kombu_has_it() -> None:
    """The journal takes unix://, kombu redis+socket://."""
    address = RedisAddress.from_url("unix://u:p%2Fw@/run/r.sock?db=3", setting="X")
    assert address.broker_url() == address.backend_url() == "redis+socket://u:p%2Fw@/run/r.sock?virtual_host=3"
    assert str(address) == "unix:///run/r.sock"
    with Connection(address.broker_url()) as broker:
        assert "p/w" not in broker.as_uri()
        assert "p%2Fw" not in broker.as_uri()


@pytest.mark.parametrize(
    "url",
    [
        *("redis://h:6379/1", "rediss://h/1?ssl_cert_reqs=required", "redis+socket:///s?virtual_host=1"),
        *("amqp://u:p@h:5672//", "amqp://", "pyamqp://h/vhost", "amqp://a//;amqp://b//", "amqps://h//"),
        *("redis://a:1/0;redis://b:2/0", "amqp://h//?heartbeat=10&login_method=EXTERNAL"),
    ],
)
def test_broker_urls_of_celery_are_taken(url: str) -> None:
    """As they are."""
    assert checked_broker_url(url, setting="X") == url


def test_scheme_of_a_broker_is_written_small() -> None:
    """What follows is chosen by it."""
    assert checked_broker_url("AMQP://A//;Amqp://b//", setting="X") == "amqp://A//;amqp://b//"


@pytest.mark.parametrize("alias", sorted(TRANSPORT_ALIASES))
def test_every_transport_is_usable_or_refused(alias: str) -> None:
    """Not one of Celery's list is accepted that fails when a message is sent: each one's library is installed."""
    url = f"{alias}://127.0.0.1"
    if alias in ("amqp", "amqps", "pyamqp", "redis", "rediss"):
        with Connection(checked_broker_url(url, setting="SOCKUDO_BROKER_URL")) as connection:
            assert connection.transport.driver_type in ("amqp", "redis")
        return
    with pytest.raises(ConfigurationError, match=r"^SOCKUDO_BROKER_URL: .*expected redis\(s\)://"):
        checked_broker_url(url, setting="SOCKUDO_BROKER_URL")


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("sentinel://:p@a:1;sentinel://:p@b:2/0", "Sentinel is not supported: name the primary itself"),
        ("sqs://", "sqs:// is not supported"),
        ("SQS://key:secret@", "sqs:// is not supported"),
        ("mongodb://a:1,b:2/x", "mongodb:// is not supported"),
        ("sqla+postgresql://u:p@h/x", "sqla:// is not supported"),
        ("memory://", "memory:// keeps messages inside one process"),
        ("filesystem://", "filesystem:// needs folders"),
        ("amqp://a//;sentinel://b", "Sentinel is not supported"),
        ("amqp://a//;redis://b", "names Redis and RabbitMQ"),
        ("redis+foo://h", "redis+...:// is not supported"),
        ("redis://h/0?foo=bar", "unknown parameter"),
        ("redis://h/0?credential_provider=os.system", "unknown parameter"),
        ("redis+socket:///s?virtual_host=x", "its parameter virtual_host must be"),
        ("redis+socket:///s?foo=1", "unknown parameter"),
        ("redis+socket://", "no path after redis+socket://"),
        ("amqp://h?heartbeat=x", "its parameter heartbeat must be"),
        ("amqp://h?connect_timeout=3", "unknown parameter"),
        ("amqps://h?ssl_ca_certs=/x", "unknown parameter"),
        ("amqp://h?login_method=FOO", "its parameter login_method must be"),
    ],
)
def test_broker_that_cannot_be_used_is_refused(url: str, complaint: str) -> None:
    """With the variable and what to write; kombu would raise at the first message, or lose it."""
    with pytest.raises(ConfigurationError) as caught:
        checked_broker_url(url, setting="SOCKUDO_BROKER_URL")
    assert str(caught.value).startswith(f"SOCKUDO_BROKER_URL: {complaint}")


@pytest.mark.parametrize(
    "scheme", ["sentinel", "redis+sentinel", "valkey", "valkeys", "redis+socket", "memory", "amqp"]
)
def test_redis_url_of_another_scheme_is_refused(scheme: str) -> None:
    """With what to write instead."""
    with pytest.raises(ConfigurationError, match=r"^SOCKUDO_REDIS_URL: .*expected redis\(s\)://"):
        RedisAddress.from_url(f"{scheme}://h/0", setting="SOCKUDO_REDIS_URL")


@pytest.mark.parametrize(
    "url",
    [
        *(f"amqp://u:{SECRET}/x@h", f"amqp://u:12/{SECRET}@h", f"amqp://u:{SECRET}#x@h", f"amqp://h:{SECRET}"),
        *(f"nope://u:{SECRET}@h", f"{SECRET}", f"{SECRET}:5672", f"a.b:{SECRET}://h", f"redis://h/{SECRET}"),
        *(f"rediss://h?ssl_cert_reqs={SECRET}", f"redis://h?password={SECRET}", f"sqs://a:{SECRET}/c@"),
        *(f"unix://{SECRET}/s", f"amqp://a//;amqp://u:{SECRET}/x@h", "amqp://a;", f"amqp://u:{SECRET} @h"),
    ],
)
def test_malformed_broker_url_is_refused_by_name(url: str) -> None:
    """An unknown transport too; kombu would raise KeyError, or quote the password for a port."""
    with pytest.raises(ConfigurationError, match=r"^SOCKUDO_BROKER_URL: ") as caught:
        checked_broker_url(url, setting="SOCKUDO_BROKER_URL")
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://user:pass@word@host:1/0", "redis://host:1/0"),
        ("rediss://:secret@host/0?password=secret", "rediss://host/0"),
        ("sentinel://:secret@a:1;sentinel://:secret@b:2", "sentinel://a:1;sentinel://b:2"),
        ("amqp://guest:guest@rabbit//", "amqp://rabbit//"),
        ("redis+socket://:secret@/run/r.sock?virtual_host=1", "redis+socket:///run/r.sock"),
    ],
)
def test_urls_are_shown_without_credentials(url: str, shown: str) -> None:
    """Neither user nor password, nor a query that may hold one."""
    assert without_credentials(url) == shown
