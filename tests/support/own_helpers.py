"""Find code in an application that the package brings: views that authorize, receivers of webhooks, signatures, ...

By syntax alone: names that are imported, called and defined, and the texts that such code cannot do without.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["find_helpers", "find_helpers_in"]

#: What an application calls when it authorizes a socket itself, or reads the form of pusher-js.
AUTHORIZES = {
    *("authenticate", "authenticate_user", "authorize_private_channel", "authorize_presence_channel"),
    *("authorize", "authorize_async", "sign_in_async", "auth_response", "authenticate_user_form"),
}
AUTH_FIELDS = {"channel_name", "socket_id"}
#: What it calls when it receives webhooks itself; the headers that it reads.
RECEIVES = {"webhook", "validate_webhook"}
WEBHOOK_HEADER = re.compile(r"^(http[_-])?x[_-]pusher[_-](key|signature)$", re.IGNORECASE)
#: What signs and encrypts.
SIGNS = {"hmac", "hashlib", "nacl", "cryptography", "Crypto"}
#: What takes the place of publishing in tests.
REPLACES = {"mock", "unittest.mock", "responses", "requests_mock", "respx", "fakeredis"}
PUBLISHES = {"delay", "adelay", "apply_async", "delay_on_commit", "trigger", "trigger_batch", "publish", "publish_many"}
#: The package's own tables: applications have admin pages of their models only.
TABLES = {"DeadLetter", "ScheduledEvent", "OutboxRow"}


def find_helpers(source: str) -> list[str]:
    """What is found, ``line: what``, in the order of the lines."""
    found = [(getattr(node, "lineno", 0), what) for node in ast.walk(ast.parse(source)) for what in _helpers_at(node)]
    return [f"{line}: {what}" for line, what in sorted(set(found))]


def find_helpers_in(directory: Path) -> list[str]:
    """The same for each Python file below the directory."""
    files = sorted(file for file in directory.rglob("*.py") if "node_modules" not in file.parts)
    assert files, directory
    return [f"{file.relative_to(directory)}:{one}" for file in files for one in find_helpers(file.read_text())]


def _helpers_at(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from _of_modules(name.name for name in names)
        case ast.ImportFrom(module=module, names=names):
            yield from _of_modules(f"{module}.{name.name}" for name in names)
            yield from (f"auth view: {name.name}" for name in names if name.name in AUTHORIZES)
            yield from (f"admin class: {name.name}" for name in names if name.name in TABLES)
        case ast.Call(func=ast.Attribute(attr=name)) | ast.Call(func=ast.Name(id=name)):
            if name in AUTHORIZES:
                yield f"auth view: {name}()"
            if name in RECEIVES:
                yield f"webhook receiver: {name}()"
        case ast.Attribute(attr="username", value=ast.Call(func=ast.Name(id="urlsplit" | "urlparse"))):
            yield "address of a page: the key of SOCKUDO_URL"
        case ast.Constant(value=str() as text):
            if text in AUTH_FIELDS:
                yield f"auth view: {text!r}"
            if WEBHOOK_HEADER.match(text):
                yield f"webhook receiver: {text!r}"
        case ast.ClassDef(name=name) if "admin" in name.lower() and any(table in name for table in TABLES):
            yield f"admin class: {name}"
        case ast.Assign(targets=targets):
            yield from (f"recorder: {one.attr} replaced" for one in targets if _is_replaced(one))


def _is_replaced(target: ast.expr) -> bool:
    return isinstance(target, ast.Attribute) and target.attr in PUBLISHES


def _of_modules(names: Iterator[str]) -> Iterator[str]:
    for name in names:
        top, _, rest = name.partition(".")
        if top in SIGNS:
            yield f"signature code: import {name}"
        if {top, f"{top}.{rest.partition('.')[0]}"} & REPLACES:
            yield f"recorder: import {name}"
