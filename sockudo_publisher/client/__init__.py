"""Sockudo's HTTP API, without the queue.

``sockudo`` is the client; ``api`` has its methods, a module for each part of Sockudo's API. ``http`` makes one signed
request with a deadline and reads the answer; ``wire`` makes the exact bytes of an event: limits, encoding, encryption.
Imports neither Celery nor Redis. Facts about the server are in docs/server.md and docs/sdks.md; each module names its
sections. Nothing is imported here, so that code which only encodes events loads no HTTP client.
"""
