"""An app's address, key and secret, checked, from a URL or from parts.

Pure. Imports the ground rooms and signing. Error messages name the field and never a value, because a malformed URL may
contain the secret anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, unquote, urlsplit

from ...errors import ConfigurationError
from ...redaction.frame_locals import without_locals
from ...redaction.secret import keep_secret

if TYPE_CHECKING:
    from .signing import Signer

__all__ = ["DEFAULT_HOST", "DEFAULT_PORT", "Credentials"]

DEFAULT_HOST = "127.0.0.1"
#: Sockudo's own default port.
DEFAULT_PORT = 6001
#: The ports of a public host (a cluster's, or any with TLS) when no port is given.
STANDARD_PORTS = {"http": 80, "https": 443}

_EXPECTED = "expected http(s)://key:secret@host:port[/prefix]/apps/app-id"
_CONTROL_OR_SPACE = re.compile(r"[\x00-\x20\x7f]")
# A name, an IPv4 or (without its brackets) an IPv6 address, without characters that change the request's target.
_HOST = re.compile(r"[^\x00-\x20\x7f/\\@?#\[\]%<>^|\"`{}]+")
# What RFC 3986 allows in a path segment as it is, beside the letters, digits and - . _ ~ that quote() never touches.
_PATH_SAFE = "!$&'()*+,;=:@"
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_CLUSTER = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?")


@keep_secret("key", "secret")
@dataclass(frozen=True, eq=False)
class Credentials:
    """One app of one server. Neither ``repr`` nor ``vars()`` shows key and secret.

    ``app_id``: any text without ``/``. ``host`` without brackets or port. Make it with
    :meth:`from_url` or :meth:`from_parts`, which check; both raise ``ConfigurationError``.

    ``path_prefix``: the path before ``/apps`` that a proxy strips, ``""`` or ``/ws``. It is
    not signed: Sockudo checks the path that it receives, without the prefix.
    """

    app_id: str
    key: str = field(repr=False)
    secret: str = field(repr=False)
    host: str
    port: int
    use_tls: bool
    path_prefix: str = ""

    @property
    def base_url(self) -> str:
        """Scheme, host and port; IPv6 in brackets; without user and path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.use_tls else 'http'}://{host}:{self.port}"

    @property
    def path(self) -> str:
        """``/apps/{app id}``, percent-encoded: the sent path is the signed path.

        Sockudo 5.2.0 compares the id with the path undecoded, so one that needs escapes answers 401 there.
        """
        return f"/apps/{quote(self.app_id, safe=_PATH_SAFE)}"

    def signer(self) -> Signer:
        """A :class:`Signer` with this key and secret."""
        from .signing import Signer  # publishers check their URL and sign nothing

        return Signer(self.key, self.secret)

    @classmethod
    @without_locals
    def from_parts(
        cls,
        app_id: str | int,
        key: str,
        secret: str,
        *,
        host: str | None = None,
        port: int | None = None,
        use_tls: bool | None = None,
        ssl: bool | None = None,
        secure: bool | None = None,
        cluster: str | None = None,
        path_prefix: str | None = None,
    ) -> Credentials:
        """From the arguments of ``Sockudo(...)``.

        ``host`` may be ``host:port`` or ``[ipv6]:port``. ``use_tls``, ``ssl`` and ``secure`` are one
        setting under three names. ``cluster="eu"`` means the host ``api-eu.sockudo.com``, and needs one of
        these. Without a port: 6001, and 443 with TLS; for a cluster 80 and 443. ``path_prefix``: the part of
        the path that a proxy strips, as ``/ws``.
        """
        agreed = _agreed({"use_tls": use_tls, "ssl": ssl, "secure": secure})
        tls = agreed or False
        if cluster is not None and host is not None:
            raise ConfigurationError("cluster: given together with host")
        if cluster is not None and agreed is None:
            # pusher would speak https; here the default is http, to a host that only a name has chosen.
            raise ConfigurationError("cluster: without use_tls (or ssl, secure); say ssl=True for https")
        if cluster is not None:
            if not isinstance(cluster, str) or not _CLUSTER.fullmatch(cluster):
                raise ConfigurationError("cluster: expected letters, digits and '-'")
            name, own_port = f"api-{cluster}.sockudo.com", STANDARD_PORTS["https" if tls else "http"]
        else:
            name, in_host = _host_and_port(DEFAULT_HOST if host is None else host)
            if in_host is not None and port not in (None, in_host):
                raise ConfigurationError("port: given twice, in host and in port, and not the same")
            own_port = in_host or (STANDARD_PORTS["https"] if tls else DEFAULT_PORT)
        return cls(
            app_id=_app_id(app_id),
            key=_token("key", key),
            secret=_token("secret", secret),
            host=name,
            port=own_port if port is None else _port(port),
            use_tls=tls,
            path_prefix=_path_prefix("path_prefix", path_prefix),
        )

    @classmethod
    @without_locals
    def from_url(
        cls,
        url: str,
        *,
        setting: str = "url",
        host: str | None = None,
        port: int | None = None,
        use_tls: bool | None = None,
        ssl: bool | None = None,
        secure: bool | None = None,
        cluster: str | None = None,
        path_prefix: str | None = None,
    ) -> Credentials:
        """From ``http(s)://key:secret@host:port/apps/app-id``; key, secret and app id are percent-decoded.

        The path may have a prefix, as ``/ws/apps/app-id``. Without a port: 80, or 443 with https. ``host`` and
        ``port`` replace the URL's; a TLS option that contradicts the scheme is refused, as is a ``path_prefix``
        beside another one. ``setting``: the URL's name in error messages.
        """
        if not isinstance(url, str):
            raise ConfigurationError(f"{setting}: a {type(url).__name__}, expected a str")
        parts, url_port = _split(url.strip(), setting)
        tls = parts.scheme == "https"
        if _agreed({"use_tls": use_tls, "ssl": ssl, "secure": secure}) not in (None, tls):
            raise ConfigurationError(
                f"{setting}: its scheme is {parts.scheme}, which use_tls, ssl or secure contradicts"
            )
        if cluster is not None:
            raise ConfigurationError(f"cluster: given together with a host, that of {setting}")
        if not parts.username:
            raise ConfigurationError(f"{setting}: no key, {_EXPECTED}")
        if not parts.password:
            raise ConfigurationError(f"{setting}: no secret, {_EXPECTED}")
        if not parts.hostname:
            raise ConfigurationError(f"{setting}: no host, {_EXPECTED}")
        prefix, _, app_id = parts.path.rstrip("/").rpartition("/")
        before, slash, apps = prefix.rpartition("/")
        if (slash, apps) != ("/", "apps") or before.endswith("/") or not app_id:
            raise ConfigurationError(f"{setting}: no /apps/app-id at the end of its path, {_EXPECTED}")
        before = _path_prefix(f"{setting}: what stands before /apps", before)
        if path_prefix is not None and before not in ("", _path_prefix("path_prefix", path_prefix)):
            raise ConfigurationError(f"path_prefix: given together with another in {setting}")
        if host is None:
            name, in_host = _host_and_port(f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname)
        else:
            name, in_host = _host_and_port(host)
            if in_host is not None and port not in (None, in_host):
                raise ConfigurationError("port: given twice, in host and in port, and not the same")
        return cls(
            app_id=_app_id(_decoded(app_id, setting), f"{setting}: app id"),
            key=_token(f"{setting}: key", _decoded(parts.username, setting)),
            secret=_token(f"{setting}: secret", _decoded(parts.password, setting)),
            host=name,
            port=_port(port) if port is not None else in_host or url_port or STANDARD_PORTS[parts.scheme],
            use_tls=tls,
            path_prefix=before or _path_prefix("path_prefix", path_prefix),
        )


def _split(url: str, setting: str) -> tuple[SplitResult, int | None]:
    if not url or _CONTROL_OR_SPACE.search(url):
        raise ConfigurationError(
            f"{setting}: {'empty' if not url else 'holds a space or control character'}, {_EXPECTED}"
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # Python's message would quote the port or the host: often a piece of the secret.
        raise ConfigurationError(f"{setting}: malformed host or port, {_EXPECTED}") from None
    if parts.scheme not in STANDARD_PORTS:
        raise ConfigurationError(f"{setting}: its scheme is neither http nor https, {_EXPECTED}")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise ConfigurationError(f"{setting}: holds '?' or '#', which a key or secret must percent-encode, {_EXPECTED}")
    if port == 0:
        raise ConfigurationError(f"{setting}: malformed host or port, {_EXPECTED}")
    return parts, port


def _agreed(options: Mapping[str, bool | None]) -> bool | None:
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        if not isinstance(value, bool):
            raise ConfigurationError(f"{name}: a {type(value).__name__}, expected a bool")
    if len(set(given.values())) > 1:
        raise ConfigurationError(f"{', '.join(given)}: contradict each other")
    return next(iter(given.values()), None)


def _host_and_port(text: str) -> tuple[str, int | None]:
    """Split ``host``, ``host:port``, ``[ipv6]``, ``[ipv6]:port`` or a bare IPv6 address."""
    complaint = "host: expected a name or address, optionally with :port"
    if not isinstance(text, str):
        raise ConfigurationError(complaint)
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or ":" not in host or (rest and not rest.startswith(":")):
            raise ConfigurationError(complaint)
        port = rest[1:] if rest else None
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, None
    if not _HOST.fullmatch(host):
        raise ConfigurationError(complaint)
    if not host.isascii():
        try:
            host.encode("idna")
        except UnicodeError:
            raise ConfigurationError(complaint) from None
    if port is None:
        return host, None
    if not (port.isascii() and port.isdigit()):
        raise ConfigurationError(complaint)
    return host, _port(int(port))


def _path_prefix(name: str, value: str | None) -> str:
    """``/ws`` or ``/a/b``, without a slash at its end; ``""`` for none.

    Letters, digits and ``- . _ ~`` alone, no dot segments: what proxies and HTTP libraries leave as it is.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name}: a {type(value).__name__}, expected a str")
    prefix = value.rstrip("/")
    if not prefix:
        return ""
    segments = prefix.split("/")[1:]
    if not _PREFIX.fullmatch(prefix) or {".", "..", "apps"} & set(segments):
        raise ConfigurationError(
            f"{name}: expected /segments of letters, digits and - . _ ~, none of them '.', '..' or 'apps'"
        )
    return prefix


def _port(port: int) -> int:
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65_535:
        raise ConfigurationError("port: expected a number from 1 to 65535")
    return port


def _app_id(app_id: str | int, name: str = "app_id") -> str:
    if isinstance(app_id, int) and not isinstance(app_id, bool):
        return str(app_id)
    text = _token(name, app_id)
    if "/" in text:
        raise ConfigurationError(f"{name}: must not hold '/'")
    return text


def _token(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{name}: a {type(value).__name__}, expected a str")
    if not value:
        raise ConfigurationError(f"{name}: empty")
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in value):
        raise ConfigurationError(f"{name}: holds a control character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"{name}: not UTF-8") from None
    return str.__str__(value)


def _decoded(text: str, setting: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{setting}: percent-encoding that is not UTF-8") from None
