"""Who may subscribe, and who a connection is: the answers of an application's auth endpoint.

Nothing is sent: an answer is a signature over the socket's id and what it may do, which the client hands
to the server. Whatever is signed was checked first, since an endpoint gets ``channel_name`` and
``socket_id`` from the browser: a channel named ``:user::{"id":"admin"}`` would otherwise be signed into a
sign-in as admin (docs/sdks.md, P11 and G6). Imports the calls' ground, the form bodies, limits, warnings and
encryption. Facts: docs/server.md, 7; docs/sdks.md, F12 to F14.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from json.encoder import encode_basestring
from typing import Any, TypedDict

from ...errors import ValidationError
from ..http.calls import Calls
from ..http.signing import Signer
from ..wire.encryption import NO_MASTER_KEY, is_encrypted
from ..wire.form import Form, form_fields
from ..wire.limits import MAX_USER_ID_BYTES, check_channel, check_socket_id
from ..wire.stock_server import warn_of_private_cache

__all__ = ["Authentication", "ChannelAuth", "UserAuth", "channel_auth", "user_auth"]

#: Channels that need a signature. Encrypted ones are private by name.
PRIVATE_PREFIX = "private-"
#: Channels that need a signature and a member.
PRESENCE_PREFIX = "presence-"


class _Auth(TypedDict):
    auth: str


class ChannelAuth(_Auth, total=False):
    """What a browser needs to subscribe: give it as JSON.

    ``auth``: ``key:signature``. ``channel_data``: the JSON text that was signed along. ``shared_secret``:
    the encrypted channel's secret, base64; it belongs to the subscriber and in no log.
    """

    channel_data: str
    shared_secret: str


class UserAuth(TypedDict):
    """What a browser needs to sign in: give it as JSON. ``user_data`` is the JSON text that was signed."""

    auth: str
    user_data: str


def channel_auth(signer: Signer, socket_id: str, channel: str, channel_data: str | None = None) -> str:
    """``key:signature`` of a subscription. ``channel_data``: JSON text, signed as it is. Checks nothing."""
    text = f"{socket_id}:{channel}" if channel_data is None else f"{socket_id}:{channel}:{channel_data}"
    return f"{signer.key}:{signer.sign(text)}"


def user_auth(signer: Signer, socket_id: str, user_data: str) -> str:
    """``key:signature`` of a sign-in. ``user_data``: JSON text, signed as it is. Checks nothing."""
    return f"{signer.key}:{signer.sign(f'{socket_id}::user::{user_data}')}"


class Authentication(Calls):
    """``authenticate``, ``authenticate_user``, and the same from forms."""

    def authenticate(self, channel: str, socket_id: str, custom_data: Any = None) -> ChannelAuth:
        """Let one socket subscribe to a private, encrypted or presence channel. ``pusher``'s order of arguments.

        ``channel``: starts with ``private-`` or ``presence-``. ``socket_id``: as the browser sent it
        (``"123.456"``). ``custom_data``: for presence channels the member, a mapping with ``user_id``
        (text, 1 to 200 bytes) and, if wanted, ``user_info`` (any JSON), or an object with these
        attributes. On another channel anything given is signed along as JSON, as ``pusher`` does; Sockudo
        signs no data there and refuses such a subscription, so leave it out.

        Whether this user may, is for the caller to decide before. Returns ``auth``, then ``channel_data``
        where there is any, then ``shared_secret`` on encrypted channels; every value a ``str``. Raises
        ``ValidationError``: arguments swapped or malformed, a public channel, no member, no master key.
        """
        socket_id = check_socket_id(socket_id)
        channel = check_channel(channel)
        data: str | None
        if channel.startswith(PRESENCE_PREFIX):
            data = self._member("custom_data", custom_data)
        elif channel.startswith(PRIVATE_PREFIX):
            # pusher takes an empty value for none as well.
            data = self._json("custom_data", custom_data) if custom_data else None
        else:
            raise ValidationError(f"channel: public, expected {PRIVATE_PREFIX}… or {PRESENCE_PREFIX}…")
        return self._authorized(socket_id, channel, data)

    authorize_channel = authenticate

    def authorize_private_channel(self, form_body: Form) -> ChannelAuth:
        """As :meth:`authenticate`, from the form body that a browser posted, for private and encrypted channels.

        ``form_body``: ``application/x-www-form-urlencoded`` with ``channel_name`` and ``socket_id``, as
        received; or the form as a framework has parsed it (``request.form``, ``request.POST``). Where whether
        this user may depends on the channel, decide about the one that is signed: read the form once and give
        its values to :meth:`authenticate`. Raises ``ValidationError`` for a field missing, repeated or
        undecodable, and for a channel that does not start with ``private-``.
        """
        socket_id, channel = _socket_and_channel(form_body, PRIVATE_PREFIX)
        return self._authorized(socket_id, channel, None)

    #: The seed's older name.
    authenticate_private_channel = authorize_private_channel

    def authorize_presence_channel(self, form_body: Form, member: Any) -> ChannelAuth:
        """As :meth:`authorize_private_channel`, for presence channels.

        ``member``: a mapping with ``user_id`` and, if wanted, ``user_info``, or an object with these
        attributes; see :meth:`authenticate`. It comes from the session, never from the form.
        """
        socket_id, channel = _socket_and_channel(form_body, PRESENCE_PREFIX)
        return self._authorized(socket_id, channel, self._member("member", member))

    #: The seed's older name.
    authenticate_presence_channel = authorize_presence_channel

    def authenticate_user(self, socket_id: str, user_data: Mapping[str, Any]) -> UserAuth:
        """Let one socket sign in as a user (``pusher:signin``); the app needs ``enable_user_authentication``.

        ``user_data``: a mapping with ``id`` (text, 1 to 200 bytes) and anything else that JSON holds;
        ``watchlist`` is a list of user ids. Returns ``auth`` and ``user_data``, the very text that was
        signed. Raises ``ValidationError``.
        """
        socket_id = check_socket_id(socket_id)
        if not isinstance(user_data, Mapping):
            raise ValidationError(f"user_data: a {type(user_data).__name__}, expected a mapping with id")
        plain = dict(user_data)
        _checked_user_id("user_data.id", plain, "id")
        text = self._json("user_data", plain)
        return {"auth": user_auth(self._signer, socket_id, text), "user_data": text}

    def authenticate_user_form(self, form_body: Form, user_data: Mapping[str, Any]) -> UserAuth:
        """As :meth:`authenticate_user`, from the form that a browser posted, raw or parsed, with its ``socket_id``."""
        (socket_id,) = form_fields(form_body, "socket_id")
        return self.authenticate_user(socket_id, user_data)

    def _authorized(self, socket_id: str, channel: str, channel_data: str | None) -> ChannelAuth:
        """Sign what has been checked."""
        warn_of_private_cache(channel)
        answer: ChannelAuth = {"auth": channel_auth(self._signer, socket_id, channel, channel_data)}
        if channel_data is not None:
            answer["channel_data"] = channel_data
        if is_encrypted(channel):
            secret = self.encoder.channel_secret(channel)
            if secret is None:
                raise ValidationError(NO_MASTER_KEY)
            answer["shared_secret"] = base64.b64encode(secret).decode()
        return answer

    def _member(self, field: str, member: Any) -> str:
        """A presence member as the JSON text that is signed."""
        if isinstance(member, Mapping):
            plain = dict(member)
        elif hasattr(member, "user_id"):
            plain = {"user_id": member.user_id}
            if getattr(member, "user_info", None) is not None:
                plain["user_info"] = member.user_info
        else:
            kind = "none" if member is None else f"a {type(member).__name__}"
            raise ValidationError(f"{field}: {kind}, expected a mapping with user_id for a presence channel")
        _checked_user_id(f"{field}.user_id", plain, "user_id")
        return self._json(field, plain)

    def _json(self, field: str, value: Any) -> str:
        """Compact JSON, by the client's own encoder where it has one."""
        if isinstance(value, bytes | bytearray):
            raise ValidationError(f"{field}: not JSON, Object of type {type(value).__name__} is not JSON serializable")
        try:
            text = self.encoder.payload(value)
        except ValidationError as error:
            raise ValidationError(field + str(error).removeprefix("data")) from None
        # A payload of text goes as it is; here it is a JSON string.
        return encode_basestring(text) if isinstance(value, str) else text


def _socket_and_channel(form_body: Form, prefix: str) -> tuple[str, str]:
    channel, socket_id = form_fields(form_body, "channel_name", "socket_id")
    socket_id = check_socket_id(socket_id)
    channel = check_channel(channel)
    if not channel.startswith(prefix):
        raise ValidationError(f"channel_name: expected {prefix}…")
    return socket_id, channel


def _checked_user_id(field: str, value: Mapping[str, Any], name: str) -> None:
    if name not in value:
        raise ValidationError(f"{field}: missing, expected text of 1 to {MAX_USER_ID_BYTES} bytes")
    user_id = value[name]
    if not isinstance(user_id, str):
        # The server reads text only: a member with a number is refused when it subscribes.
        raise ValidationError(f"{field}: a {type(user_id).__name__}, expected a str")
    if not user_id:
        raise ValidationError(f"{field}: empty, expected 1 to {MAX_USER_ID_BYTES} bytes")
    try:
        size = len(user_id.encode())
    except UnicodeEncodeError:
        raise ValidationError(f"{field}: not UTF-8 (a lone surrogate)") from None
    if size > MAX_USER_ID_BYTES:
        raise ValidationError(f"{field}: {size} bytes, limit {MAX_USER_ID_BYTES}")
