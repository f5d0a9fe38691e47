"""Where the embedded server differs from 5.2.0 on purpose: facts by id (or pattern), with the reason.

A fact that is not here must agree. An entry whose facts all agree fails too, so that the table cannot grow old.
"""

from __future__ import annotations

__all__ = ["DIFFERENCES"]

DIFFERENCES: dict[str, str] = {
    "cache.private": "the embedded server checks the signature of every private channel",
    "event.numbers": "the embedded server keeps integers of any size; this package refuses them before the request",
    "http.cors": "the embedded server lists the headers of Pusher's libraries, not those of other services",
    "id.headers": "the embedded server compares headers without their order; this package refuses two or more",
    "query.listing_repeated": "the embedded server counts at every query",
    "socket.origin": "pages of any site could reach a developer's machine: the embedded server admits local ones",
    "socket.app_limit": "the embedded server sends the code that 5.2.0 leaves out",
    "socket.unknown_key": "the embedded server sends the code that 5.2.0 leaves out",
    "user.revocations": "the embedded server has no tokens; it answers 501 with this reason",
}
