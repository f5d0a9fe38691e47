"""An embedded Sockudo for development and tests: it imitates the real server's HTTP API and WebSockets.

First step: what a publisher and a plain subscriber need. ``POST /events`` and ``/batch_events`` with the
request signature, the limits, and the deduplication of ``message_id`` per channel; ``/up``; WebSocket
protocol 7 with public and private channels. What each answer looks like is taken from the running real
server, and one test module runs against both (tests/integration/devserver).

Laid out so that decisions can be read and tested without a socket: ``request_auth``, ``decoding``,
``validation``, ``dedup``, ``registry`` and ``frames`` are pure (values and a clock in, values or a
``Refusal`` out), ``publishing`` and ``session`` use them, ``app`` alone does HTTP and WebSocket I/O.
Imports starlette, uvicorn and nothing of the rest of the package: a signature is checked here by code of
its own, or it could not find a bug in the client's.
"""

from __future__ import annotations
