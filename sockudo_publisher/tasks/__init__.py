"""The Celery tasks that callers use: their options, messages and results."""
