"""The shop's own Celery app: a long task that reports its progress to the page of its user."""

import os
import time

from celery import Celery

from sockudo_publisher import publish

broker = os.environ.get("BELL_BROKER", "redis://127.0.0.1:6379/1")
app = Celery("bell", broker=broker)
app.conf.task_default_queue = "bell"

#: Seconds that a part of the export takes.
STEP_S = float(os.environ.get("BELL_STEP_S", "0.4"))
STEPS = 10


@app.task(name="bell.export", acks_late=True)
def export(user_id: str, export_id: str) -> None:
    """Stored events arrive in order; a repeated step, after a lost worker, has the same key and is stored once."""
    for step in range(1, STEPS + 1):
        time.sleep(STEP_S)  # in place of the work
        tell(user_id, "progress", {"export": export_id, "percent": step * 100 // STEPS}, f"{export_id}-{step}")
    tell(user_id, "bell", {"export": export_id, "text": "Your export is ready."}, f"{export_id}-ready")


def tell(user_id: str, event: str, data: dict[str, object], key: str) -> None:
    publish.delay(f"private-user.{user_id}", event, data, key=f"export-{key}")
