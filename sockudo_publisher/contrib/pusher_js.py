"""What a page needs to connect: the key and the options of pusher-js, from the settings. Never the secret."""

from __future__ import annotations

from typing import TypedDict
from urllib.parse import urlsplit

from typing_extensions import NotRequired

from ..client.http.credentials import STANDARD_PORTS, Credentials
from ..config.settings import DEFAULT_APP, get_settings
from ..errors import ValidationError
from ..redaction.frame_locals import without_locals

__all__ = ["PusherJsOptions", "pusher_js_options"]

_SCHEMES = {"http": False, "ws": False, "https": True, "wss": True}


class PusherJsOptions(TypedDict):
    """``key``, which is the first argument of ``new Pusher(key, options)``, and options by the names of pusher-js.

    ``wsPath`` is there if the address has a path.
    """

    key: str
    cluster: str
    wsHost: str
    wsPort: int
    wssPort: int
    forceTLS: bool
    enabledTransports: list[str]
    wsPath: NotRequired[str]


@without_locals
def pusher_js_options(public_url: str = "", *, app: str = DEFAULT_APP) -> PusherJsOptions:
    """The key and the address of an app, for pusher-js in a page: ``const {key, ...options} = ...``.

    ``public_url``: where browsers reach Sockudo, as ``https://ws.example.com`` or with the path that a proxy strips;
    "" (the default) if it is where this process reaches it (``SOCKUDO_URL``). ``app``: a name from ``SOCKUDO_APPS``.

    Raises :class:`ConfigurationError` if the app is not configured or its URL is malformed, and
    :class:`ValidationError` if ``public_url`` is no address.
    """
    own = Credentials.from_url(get_settings().url_of(app), setting="url")
    host, port, use_tls, path = own.host, own.port, own.use_tls, own.path_prefix
    if public_url:
        host, port, use_tls, path = _read_address(public_url)
    options: PusherJsOptions = {
        "key": own.key,
        "cluster": "",
        "wsHost": f"[{host}]" if ":" in host else host,
        "wsPort": port,
        "wssPort": port,
        "forceTLS": use_tls,
        "enabledTransports": ["wss"] if use_tls else ["ws"],
    }
    if path:
        options["wsPath"] = path
    return options


def _read_address(url: str) -> tuple[str, int, bool, str]:
    """Host, port, TLS and path. The error does not repeat the URL, which may have a password by mistake."""
    fault = ""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        fault = "malformed"
    else:
        if parts.scheme not in _SCHEMES or not host:
            fault = "no address"
        elif parts.username is not None or parts.query or parts.fragment:
            fault = "with user, query or fragment"
    if fault:
        raise ValidationError(f"public_url: {fault}, {len(url)} characters; expected http(s)://host[:port][/path]")
    use_tls = _SCHEMES[parts.scheme]
    standard = STANDARD_PORTS["https" if use_tls else "http"]
    assert host is not None
    return host, standard if port is None else port, use_tls, parts.path.rstrip("/")
