"""Let the children of a prefork pool and their parent count together: prometheus_client's multiprocess mode.

Each child writes its numbers into files of a directory, and the parent shows the sums. The mode is chosen by a variable
when prometheus_client is imported, so this comes first. Imports nothing of it.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile

from ..redaction import package_logger

__all__ = ["count_in_children"]

logger = package_logger("sockudo_publisher.telemetry")


def count_in_children() -> None:
    """Make a directory for the files unless ``PROMETHEUS_MULTIPROC_DIR`` names one; it is removed at the end."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return
    if "prometheus_client" in sys.modules:
        logger.warning(
            "prometheus_client was imported before the worker's start: what children count is not shown; "
            "set PROMETHEUS_MULTIPROC_DIR"
        )
        return
    directory = tempfile.mkdtemp(prefix="sockudo-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
    own = os.getpid()

    def remove() -> None:
        if os.getpid() == own:  # children inherit this function
            shutil.rmtree(directory, ignore_errors=True)

    atexit.register(remove)
