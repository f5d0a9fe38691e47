"""`make bench`: this package's speed beside its peers and the server's ceiling, as ratios of one run.

Real parts on loopback (Redis with its append-only file, Sockudo, Celery workers), started through
``sockudo_publisher.dev.embedded`` and ended with the run. A module a scenario; `plan` holds the sizes, `ratios` and
`rates` the arithmetic, `report` the page. Nothing of the package imports this room; it may import everything, and the
subscriber of the tests.
"""
