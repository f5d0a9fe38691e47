"""What the package counts and traces while it works, behind one small protocol: :class:`.observer.Observer`.

Nothing is counted by default. ``SOCKUDO_TELEMETRY`` and the worker's port choose implementations: Prometheus (extra
``metrics``), OpenTelemetry (extra ``otel``), and the worker's summary line. Knows neither Redis nor HTTP nor Celery.
"""
