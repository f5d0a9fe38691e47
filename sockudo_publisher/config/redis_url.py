"""The URLs of Redis and the Celery broker, checked before a client reads them.

redis-py and kombu misread malformed URLs (``redis://h/abc`` as database 0), or raise errors that quote the URL. Here a
URL is read as both of them read it. An error names the setting and the expected form, never a part of the URL: a
password with an unencoded ``/`` or ``#`` may be anywhere in it. Imports the ground rooms, and kombu's list of
transports for an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from ..errors import ConfigurationError
from ..redaction.frame_locals import without_locals
from ..redaction.secret import keep_secret

__all__ = ["RedisAddress", "checked_broker_url"]

_EXPECTED = "expected redis(s)://[user:password@]host[:port][/database] or unix:///path[?db=database]"
_EXPECTED_BROKER = (
    "expected redis(s)://[user:password@]host[:port][/database], redis+socket:///path, "
    "or for RabbitMQ amqp(s)://[user:password@]host[:port]/[vhost]"
)
_ENCODE = "percent-encode : / ? # [ ] @ % in a password"

_CONTROL_OR_SPACE = re.compile(r"[\x00-\x20\x7f]")
# A name, an IPv4 or (without its brackets) an IPv6 address.
_HOST = re.compile(r"[^\x00-\x20\x7f/\\@?#\[\]<>^|\"`{}]+")
_DATABASE_PATH = re.compile(r"/?|/[0-9]{1,9}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_CLIENT_NAME = re.compile(r"[!-~]+")

_TRUE = frozenset({"1", "true", "t", "yes", "y"})
_FALSE = frozenset({"0", "false", "f", "no", "n"})
_CERT_REQS = frozenset({"none", "optional", "required"})
_SSL_TEXTS = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_ciphers", "ssl_keyfile", "ssl_password")

#: Query parameters of a Redis URL, for every scheme and for one alone.
_PARAMETERS = ("client_name", "db", "health_check_interval", "password", "username")
_TCP_PARAMETERS = ("socket_keepalive",)
_TLS_PARAMETERS = ("ssl_cert_reqs", "ssl_check_hostname", *_SSL_TEXTS)

#: Parameters of redis-py that the journal sets: its promises about time and repeats depend on them.
_OURS = frozenset(
    {
        "command_packer",
        "connection_class",
        "decode_responses",
        "encoding",
        "encoding_errors",
        "legacy_responses",
        "max_connections",
        "parser_class",
        "protocol",
        "retry",
        "retry_on_error",
        "retry_on_timeout",
        "single_connection_client",
        "socket_connect_timeout",
        "socket_read_size",
        "socket_timeout",
        "timeout",
    }
)

#: Transports of a broker that are usable: their connections keep to the times that a caller has, and their messages
#: reach other processes. With the query parameters that kombu understands in their URLs.
_REDIS_BROKERS = frozenset({"redis", "rediss"})
_RABBITMQ_BROKERS = frozenset({"amqp", "amqps", "pyamqp"})
_RABBITMQ_PARAMETERS = ("heartbeat", "login_method")
_LOGIN_METHODS = frozenset({"PLAIN", "AMQPLAIN", "EXTERNAL"})

#: More precise reasons for refused transports that Celery knows.
_REFUSED_BROKERS = {
    "sentinel": "Sentinel is not supported: name the primary itself, as in redis://host:6379/0",
    "memory": "memory:// keeps messages inside one process, so no worker would get them",
    "filesystem": "filesystem:// needs folders that a URL cannot name",
}


@keep_secret("username", "password", "tls")
@dataclass(frozen=True)
class RedisAddress:
    """A parsed Redis URL, from which the URLs for redis-py, kombu and Celery's result backend are made.

    ``tls``: the TLS parameters, typed, for ``rediss`` only. Made by :meth:`from_url`, which checks.
    """

    scheme: str
    host: str
    port: int
    path: str
    database: int
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    tls: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    @without_locals
    def from_url(cls, url: str, *, setting: str) -> RedisAddress:
        """Read and check. Raises :class:`ConfigurationError` that names ``setting``."""
        parts = _split(url, setting)
        is_socket = parts.scheme == "unix"
        query = _query(parts, setting)
        database = query.pop("db", "")
        if is_socket:
            if parts.hostname or parts.port is not None or not parts.path.strip("/"):
                raise ConfigurationError(f"{setting}: no path after unix://, {_EXPECTED}")
        else:
            if not _DATABASE_PATH.fullmatch(parts.path):
                raise ConfigurationError(f"{setting}: its path is no database number, {_EXPECTED}; {_ENCODE}")
            in_path = parts.path.strip("/")
            if database and in_path and int(database) != int(in_path):
                raise ConfigurationError(f"{setting}: two databases, in its path and in db=")
            database = database or in_path
        return cls(
            scheme=parts.scheme,
            host="" if is_socket else (parts.hostname or "localhost"),
            port=0 if is_socket else (parts.port or 6379),
            path=_decoded(parts.path, setting) if is_socket else "",
            database=int(database or 0),
            username=_decoded(parts.username or "", setting) or query.get("username", ""),
            password=_decoded(parts.password or "", setting) or query.get("password", ""),
            tls=_tls(query) if parts.scheme == "rediss" else {},
        )

    def broker_url(self) -> str:
        """The URL of the same Redis for kombu."""
        if self.scheme == "unix":
            query = urlencode({"virtual_host": str(self.database)})
            return f"redis+socket://{self._user_info()}{quote(self.path)}?{query}"
        query = urlencode(
            {name: str(value).lower() if isinstance(value, bool) else value for name, value in self.tls.items()}
        )
        return f"{self._without_query()}{'?' if query else ''}{query}"

    def backend_url(self) -> str:
        """The same Redis as Celery's result backend knows it; :attr:`tls` is given to it apart, with its types."""
        return self.broker_url() if self.scheme == "unix" else self._without_query()

    def _without_query(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{self._user_info()}{host}:{self.port}/{self.database}"

    def _user_info(self) -> str:
        if not (self.username or self.password):
            return ""
        password = f":{quote(self.password, safe='')}" if self.password else ""
        return f"{quote(self.username, safe='')}{password}@"

    def __str__(self) -> str:
        """The address without credentials."""
        if self.scheme == "unix":
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}/{self.database}"


@without_locals
def checked_broker_url(url: str, *, setting: str) -> str:
    """The URL of Redis or RabbitMQ as kombu takes it. Raises :class:`ConfigurationError` that names ``setting``.

    ``unix://`` is written as kombu has it. Several URLs, separated by semicolons, are several servers of one kind.
    """
    if url.lower().startswith("unix://"):
        return RedisAddress.from_url(url, setting=setting).broker_url()
    urls = url.split(";")
    kinds = {_check_broker(one, setting) for one in urls}
    if len(kinds) > 1:
        raise ConfigurationError(f"{setting}: names Redis and RabbitMQ, expected servers of one kind")
    return ";".join(_with_lower_scheme(one) for one in urls)


def _check_broker(url: str, setting: str) -> str:
    """Raise :class:`ConfigurationError` unless kombu can use this one URL; "redis" or "amqp", its kind."""
    if not url or _CONTROL_OR_SPACE.search(url):
        raise ConfigurationError(f"{setting}: holds a space, a control character or nothing, {_EXPECTED_BROKER}")
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    transport, _, inner = scheme.partition("+")
    if not separator or not transport:
        raise ConfigurationError(f"{setting}: no transport, {_EXPECTED_BROKER}")
    is_redis, is_socket = transport in _REDIS_BROKERS, scheme == "redis+socket"
    if not (is_redis or transport in _RABBITMQ_BROKERS) or (inner and not is_socket):
        raise ConfigurationError(f"{setting}: {_why_refused(transport)}, {_EXPECTED_BROKER}")
    # Parsed as kombu does: kombu's error would quote the port it read, which is often a part of the password.
    parts = _http_parts(rest)
    if parts is None or "#" in rest or "@" in parts.path:
        raise ConfigurationError(f"{setting}: malformed host, port or query, {_EXPECTED_BROKER}; {_ENCODE}")
    _decoded(parts.username or "", setting)
    _decoded(parts.password or "", setting)
    if is_socket and (parts.hostname or not parts.path.strip("/")):
        raise ConfigurationError(f"{setting}: no path after redis+socket://, {_EXPECTED_BROKER}")
    if is_redis and not is_socket and not _DATABASE_PATH.fullmatch(parts.path):
        raise ConfigurationError(f"{setting}: its path is no database number, {_EXPECTED_BROKER}; {_ENCODE}")
    known = ("virtual_host",) if is_socket else _TLS_PARAMETERS if is_redis else _RABBITMQ_PARAMETERS
    _check_broker_query(parts.query, known, setting)
    return "redis" if is_redis else "amqp"


def _with_lower_scheme(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return f"{scheme.lower()}{separator}{rest}"


def _why_refused(transport: str) -> str:
    from kombu.transport import TRANSPORT_ALIASES

    if transport in _REDIS_BROKERS | _RABBITMQ_BROKERS:
        return f"{transport}+...:// is not supported"
    if transport in _REFUSED_BROKERS:
        return _REFUSED_BROKERS[transport]
    if transport in {name.lower() for name in TRANSPORT_ALIASES}:
        return f"{transport}:// is not supported"
    # Not named: without a scheme the text before :// may be anything.
    return "no such transport"


def _http_parts(rest: str) -> SplitResult | None:
    try:
        parts = urlsplit(f"http://{rest}")
        port = parts.port
    except ValueError:
        return None
    host = unquote(parts.hostname or "")
    return None if port == 0 or (host and not _is_host(host)) else parts


def _check_broker_query(query: str, known: tuple[str, ...], setting: str) -> None:
    """Refuse unknown parameters: kombu would pass them to functions that raise TypeError at the first message."""
    try:
        given = parse_qsl(query, errors="strict")
    except ValueError:
        given = []
    if query and not given:
        raise ConfigurationError(f"{setting}: malformed query, {_EXPECTED_BROKER}; {_ENCODE}")
    for name, value in given:
        if name not in known:
            # Not named: after an unencoded question mark it may be a part of the password.
            raise ConfigurationError(f"{setting}: unknown parameter, known are {', '.join(sorted(known))}; {_ENCODE}")
        if not _is_valid(name, value):
            raise ConfigurationError(f"{setting}: its parameter {name} {_WANTED[name]}")


#: Other programs' schemes, and the corresponding ones here.
_OTHER_SCHEMES = {
    "sentinel": "Sentinel is not supported here",
    "redis+sentinel": "Sentinel is not supported here",
    "rediss+sentinel": "Sentinel is not supported here",
    "redis+socket": "write unix:// for redis+socket://",
    "valkey": "write redis:// for valkey://",
    "valkeys": "write rediss:// for valkeys://",
}


def _split(url: str, setting: str) -> SplitResult:
    if not url or _CONTROL_OR_SPACE.search(url):
        raise ConfigurationError(f"{setting}: holds a space, a control character or nothing, {_EXPECTED}")
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in ("redis", "rediss", "unix"):
        which = _OTHER_SCHEMES.get(scheme.lower(), "its scheme is not redis, rediss or unix")
        raise ConfigurationError(f"{setting}: {which}, {_EXPECTED}")
    if "#" in url:
        raise ConfigurationError(f"{setting}: holds '#', {_EXPECTED}; {_ENCODE}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # Python's error would quote the port or host it read, which is often a part of the password.
        raise ConfigurationError(f"{setting}: malformed host or port, {_EXPECTED}; {_ENCODE}") from None
    host = parts.hostname or ""
    if port == 0 or (host and not _is_host(host)):
        raise ConfigurationError(f"{setting}: malformed host or port, {_EXPECTED}; {_ENCODE}")
    return parts


def _is_host(host: str) -> bool:
    if not _HOST.fullmatch(host):
        return False
    if ":" in host:
        return True
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _query(parts: SplitResult, setting: str) -> dict[str, str]:
    """The query's parameters, checked; the first of a name counts, as for redis-py."""
    known = {*_PARAMETERS}
    if parts.scheme != "unix":
        known.update(_TCP_PARAMETERS)
    if parts.scheme == "rediss":
        known.update(_TLS_PARAMETERS)
    found: dict[str, str] = {}
    try:
        given = parse_qsl(parts.query, errors="strict")
    except ValueError:
        raise ConfigurationError(f"{setting}: malformed query, {_EXPECTED}; {_ENCODE}") from None
    if parts.query and not given:
        raise ConfigurationError(f"{setting}: malformed query, {_EXPECTED}; {_ENCODE}")
    for name, value in given:
        if name in _OURS:
            raise ConfigurationError(f"{setting}: its parameter {name} cannot be chosen, this package sets it itself")
        if name in _TLS_PARAMETERS and name not in known:
            raise ConfigurationError(f"{setting}: its parameter {name} needs rediss://")
        if name not in known:
            # Not named: after an unencoded question mark it may be a part of the password.
            raise ConfigurationError(f"{setting}: unknown parameter, known are {', '.join(sorted(known))}; {_ENCODE}")
        if not _is_valid(name, value):
            raise ConfigurationError(f"{setting}: its parameter {name} {_WANTED[name]}")
        found.setdefault(name, value)
    return found


#: The allowed values of parameters with a type.
_WANTED = {
    "client_name": "must be printable ASCII without spaces",
    "db": "must be the number of a database",
    "heartbeat": "must be a whole number of seconds",
    "login_method": "must be PLAIN, AMQPLAIN or EXTERNAL",
    "virtual_host": "must be the number of a database",
    "health_check_interval": "must be a whole number of seconds",
    "socket_keepalive": "must be true or false",
    "ssl_cert_reqs": "must be required, optional or none",
    "ssl_check_hostname": "must be true or false",
}


def _is_valid(name: str, value: str) -> bool:
    match name:
        case "db" | "health_check_interval" | "heartbeat" | "virtual_host":
            return _NUMBER.fullmatch(value) is not None
        case "login_method":
            return value in _LOGIN_METHODS
        case "client_name":
            return _CLIENT_NAME.fullmatch(value) is not None
        case "ssl_cert_reqs":
            return value in _CERT_REQS
        case "socket_keepalive" | "ssl_check_hostname":
            return value.lower() in _TRUE | _FALSE
        case _:
            return True


def _tls(query: dict[str, str]) -> dict[str, Any]:
    """The TLS options. The certificate is verified by default; kombu's own default is not to verify it."""
    found: dict[str, Any] = {"ssl_cert_reqs": query.get("ssl_cert_reqs", "required")}
    if "ssl_check_hostname" in query:
        found["ssl_check_hostname"] = query["ssl_check_hostname"].lower() in _TRUE
    return {**found, **{name: query[name] for name in _SSL_TEXTS if name in query}}


def _decoded(text: str, setting: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{setting}: percent-encoding that is not UTF-8; {_ENCODE}") from None
