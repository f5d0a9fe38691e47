"""Breakages of the HTTP client: signing, validation, comparison, encryption, retries."""

from __future__ import annotations

from . import Mutant

__all__ = ["MUTANTS"]

CLIENT = "sockudo_publisher/client"


def _tests(*names: str) -> tuple[str, ...]:
    """A command that runs these files of the client's unit tests."""
    return ("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *(f"tests/unit/client/{name}.py" for name in names))


SIGNING = _tests("test_signing", "test_vectors_of_requests")
AUTH = _tests("test_auth", "test_auth_defects", "test_auth_vectors")
WEBHOOKS = _tests(
    *("test_webhook", "test_webhook_signatures", "test_webhook_encryption", "test_webhook_hostile"),
    *("test_webhook_defects", "test_webhook_vectors"),
)
LIMITS = _tests("test_limits", "test_encoding")
ENCRYPTION = _tests("test_encryption", "test_encoding")
CREDENTIALS = _tests("test_credentials")
RETRIES = _tests("test_retries", "test_repeats")
ANSWERS = _tests("test_answer")
PARAMETERS = _tests("test_parameters", "test_channels")

MUTANTS = (
    Mutant(
        name="sign the names of parameters as they are written",
        why="the server signs them in lower case: every query with a capital would be refused",
        file="sockudo_publisher/client/http/signing.py",
        old="pairs = sorted((name.lower(), value) for name, value in parameters.items())",
        new="pairs = sorted((name, value) for name, value in parameters.items())",
        test=SIGNING,
    ),
    Mutant(
        name="send a query's values unescaped",
        why="a space or an ampersand in a value would change the request after it was signed",
        file="sockudo_publisher/client/http/signing.py",
        old='own = "&".join(f"{quote_plus(name)}={quote_plus(value)}"',
        new='own = "&".join(f"{quote_plus(name)}={value}"',
        test=SIGNING,
    ),
    Mutant(
        name="let a call set a parameter of the signature",
        why="a caller's own auth_key would be signed beside ours",
        file="sockudo_publisher/client/http/signing.py",
        old="if names & AUTH_PARAMETERS or len(names) < len(parameters):",
        new="if len(names) < len(parameters):",
        test=SIGNING,
    ),
    Mutant(
        name="sign with another digest",
        why="no server would accept it",
        file="sockudo_publisher/client/http/signing.py",
        old='return hmac.digest(secret, text, "sha256").hex()',
        new='return hmac.digest(secret, text, "sha512").hex()[:64]',
        test=SIGNING,
    ),
    Mutant(
        name="authorize any channel that begins with text",
        why="a form could have a public channel or the user's own sign-in signed (defects P11, G6)",
        file="sockudo_publisher/client/api/authentication.py",
        old="    channel = check_channel(channel)\n    if not channel.startswith(prefix):",
        new="    if not channel.startswith(prefix):",
        test=AUTH,
    ),
    Mutant(
        name="authorize without a look at the socket id",
        why="swapped or injected arguments would be signed",
        file="sockudo_publisher/client/api/authentication.py",
        old="    socket_id = check_socket_id(socket_id)\n    channel = check_channel(channel)\n    if not",
        new="    channel = check_channel(channel)\n    if not",
        test=AUTH,
    ),
    Mutant(
        name="take a number for the id of a user",
        why="the server refuses such a member when it subscribes, far from the cause",
        file="sockudo_publisher/client/api/authentication.py",
        old="    if not isinstance(user_id, str):\n        # The server",
        new="    if not isinstance(user_id, str | int):\n        # The server",
        test=AUTH,
    ),
    Mutant(
        name="take the last of two fields of a form",
        why="one copy may have been checked and the other signed",
        file="sockudo_publisher/client/wire/form.py",
        old="            if name in found:\n",
        new="            if False:\n",
        test=AUTH,
    ),
    Mutant(
        name="believe a webhook of any signature",
        why="any sender could claim events",
        file="sockudo_publisher/client/api/webhook.py",
        old="    if not holds:\n",
        new="    if not given:\n",
        test=WEBHOOKS,
    ),
    Mutant(
        name="believe the last secret alone",
        why="webhooks signed with the older secret of a rotation would be refused",
        file="sockudo_publisher/client/api/webhook.py",
        old="holds |= hmac.compare_digest(expected, signature)",
        new="holds = hmac.compare_digest(expected, signature)",
        test=WEBHOOKS,
    ),
    Mutant(
        name="try every secret, whatever the key",
        why="the key of another app would pass",
        file="sockudo_publisher/client/api/webhook.py",
        old="ours = [secret for key, secret in credentials if key in keys]",
        new="ours = [secret for key, secret in credentials]",
        test=WEBHOOKS,
    ),
    Mutant(
        name="let a subscriber's plain text pass for decrypted",
        why="any subscriber's text would look like a secret one",
        file="sockudo_publisher/client/api/webhook.py",
        old='return (data, None) if name in _SERVERS_OWN else (None, "data: in plain on an encrypted channel")',
        new="return data, None",
        test=WEBHOOKS,
    ),
    Mutant(
        name="refuse a webhook for one event that does not decrypt",
        why="any subscriber could suppress the webhooks of everybody else",
        file="sockudo_publisher/client/api/webhook.py",
        old='        return None, "data: does not decrypt with this channel\'s secret"',
        new='        raise InvalidWebhook("data: does not decrypt with this channel\'s secret") from None',
        test=WEBHOOKS,
    ),
    Mutant(
        name="match the digits of every script",
        why="a socket id that the server cannot read would be sent",
        file="sockudo_publisher/client/wire/limits.py",
        old='_SOCKET_ID = re.compile(r"[0-9]{1,20}\\.[0-9]{1,20}")',
        new='_SOCKET_ID = re.compile(r"\\d{1,20}\\.\\d{1,20}")',
        test=LIMITS,
    ),
    Mutant(
        name="let a channel end with a newline",
        why="the match would stop before it, and the name be another",
        file="sockudo_publisher/client/wire/limits.py",
        old="    if _CHANNEL.fullmatch(text) is None:",
        new='    if re.match(_CHANNEL.pattern + "$", text) is None:',
        test=LIMITS,
    ),
    Mutant(
        name="count characters instead of bytes",
        why="a payload of many bytes would pass the limit",
        file="sockudo_publisher/client/wire/encoding.py",
        old='        size = len(payload) if payload.isascii() else _utf8_length("data", payload)',
        new="        size = len(payload)",
        test=LIMITS,
    ),
    Mutant(
        name="encrypt for one channel among several",
        why="subscribers of the others could not read it, or would read it in plain",
        file="sockudo_publisher/client/wire/limits.py",
        old="    if len(merged) > 1 and any(is_encrypted(channel) for channel in merged):",
        new="    if len(merged) > 2 and any(is_encrypted(channel) for channel in merged):",
        test=LIMITS,
    ),
    Mutant(
        name="derive the secret of a channel from the master key first",
        why="no other library could decrypt it",
        file="sockudo_publisher/client/wire/encryption.py",
        old="return hashlib.sha256(channel.encode() + master_key).digest()",
        new="return hashlib.sha256(master_key + channel.encode()).digest()",
        test=ENCRYPTION,
    ),
    Mutant(
        name="take base64 that is none",
        why="a mistyped key would silently become another one",
        file="sockudo_publisher/client/wire/encryption.py",
        old="    if base64.b64encode(key).decode() != text:",
        new="    if not key:",
        test=ENCRYPTION,
    ),
    Mutant(
        name="keep credentials percent-encoded",
        why="a secret with a slash would sign wrongly",
        file="sockudo_publisher/client/http/credentials.py",
        old='secret=_token(f"{setting}: secret", _decoded(parts.password, setting)),',
        new='secret=_token(f"{setting}: secret", parts.password),',
        test=CREDENTIALS,
    ),
    Mutant(
        name="let a TLS option contradict the URL",
        why="a secret meant for https would travel in plain",
        file="sockudo_publisher/client/http/credentials.py",
        old='if _agreed({"use_tls": use_tls, "ssl": ssl, "secure": secure}) not in (None, tls):',
        new='if _agreed({"use_tls": use_tls, "ssl": ssl, "secure": secure}) not in (None, tls, True, False):',
        test=CREDENTIALS,
    ),
    Mutant(
        name="repeat what may be out without an identity",
        why="an event would be delivered twice",
        file="sockudo_publisher/client/http/retries.py",
        old="error.permanent or (error.sent and not repeatable)",
        new="error.permanent",
        test=RETRIES,
    ),
    Mutant(
        name="obey Retry-After: 0",
        why="every client would repeat its request at once",
        file="sockudo_publisher/client/http/retries.py",
        old="            wait += max(asked, MIN_RETRY_AFTER_S)",
        new="            wait += asked",
        test=RETRIES,
    ),
    Mutant(
        name="take a page of HTML for success",
        why="an event that a proxy swallowed would count as published",
        file="sockudo_publisher/client/http/answer.py",
        old='            lack = "that is not JSON"',
        new="            return {}",
        test=ANSWERS,
    ),
    Mutant(
        name="take a success without what was asked for",
        why="the caller of a query would meet a KeyError far from its cause",
        file="sockudo_publisher/client/http/answer.py",
        old="    if not lack and expected is not None and",
        new="    if not lack and expected is None and",
        test=ANSWERS,
    ),
    Mutant(
        name="believe that every 403 did nothing",
        why="events of a batch before one of AI transport would be published twice",
        file="sockudo_publisher/errors.py",
        old="code.startswith(_AI_CODES)",
        new="False",
        test=ANSWERS,
    ),
    Mutant(
        name="let a dot segment into a path",
        why="HTTP libraries resolve it, and the request reaches another endpoint (defect P21)",
        file="sockudo_publisher/client/wire/paths.py",
        old='if not text or text in (".", ".."):',
        new="if not text:",
        test=PARAMETERS,
    ),
)
