"""What one process shares: apps, the private Celery app, the broker, the doorbell, the stop of its drains."""
