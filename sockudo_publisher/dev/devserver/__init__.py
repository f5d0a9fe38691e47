"""An embedded Sockudo for development and tests: protocol 7 and the HTTP API; no cluster, TLS, persistence, protocol 2.

It imitates the real server 5.2.0: publishing with both deduplications, queries, presence, users, client events, cache
channels, history, webhooks. What each answer looks like is taken from the running real server, and tests run against
both (tests/integration/devserver). What the real one has and this one has not answers 501.

Laid out so that decisions can be read and tested without a socket: ``core`` holds all state, ``state`` that of one app,
and most modules are pure (values and a clock in, values or a ``Refusal`` out). ``app``, ``websockets``, ``publish_api``
and ``webhook_sender`` do the I/O, ``serving`` listens, ``running`` is ``DevServer``, the server in a thread.
Imports starlette, uvicorn and nothing of the rest of the package: a signature is checked here by code of
its own, or it could not find a bug in the client's.
"""

from __future__ import annotations
