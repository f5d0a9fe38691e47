"""What one process shares: its apps, its Celery app, the broker, the doorbell, the stop of its drains."""
