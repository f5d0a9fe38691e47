"""The Celery face: the tasks that callers use, their options, messages and results."""
