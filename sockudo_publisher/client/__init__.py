"""The Sockudo HTTP API, without the queue.

Imports neither Celery nor Redis. Each module is one concept: ``event`` (what a caller gives),
``limits`` (what may be published), ``encoding`` and ``encryption`` (the exact bytes), ``credentials``
and ``signing`` (where and as whom), ``deadline`` and ``transport`` (one HTTP attempt), ``answer``
(what came back), ``json_memory`` (what it would cost to read), ``no_answer`` (that nothing came),
``answers`` (its types), ``json_fault`` (where a payload is no JSON), ``retries`` (whether again), ``form``,
``parameters`` and ``paths`` (what else is read and written); ``calls`` makes a signed call, and ``publishing``,
``authentication``, ``webhook``, ``channels``, ``users``, ``history``, ``presence_history``, ``messages``,
``annotations`` and ``revocations`` are the rooms of the API; ``sockudo`` puts them together. Facts about
the server are in docs/server.md and docs/sdks.md; each module names its sections. Nothing is imported here, so that
who only encodes events loads no HTTP client.
"""
