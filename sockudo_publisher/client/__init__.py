"""The Sockudo HTTP API. Imports neither Celery nor Redis."""
