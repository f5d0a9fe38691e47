"""The production worker: `celery -A worker worker` from the repository root, or from the image built here.

This room assembles nothing: the app is `sockudo_publisher.workerapp`'s, so that `sockudo-publisher worker` starts the
same from an installed wheel. Beside it lie the image and the configuration of the servers around it.
"""

from sockudo_publisher.workerapp import app

__all__ = ["app"]
