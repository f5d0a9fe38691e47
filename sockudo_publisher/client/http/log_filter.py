"""Remove the signed query from urllib3's log lines.

At DEBUG urllib3 logs the path of each request, and for our requests key, signature and the body's MD5 are part of it;
its warnings about retries and redirects have the path too. The filter costs nothing where these lines are off. It is
installed for every client, and holds for a caller's ``session`` as well. Imports the redaction.
"""

from __future__ import annotations

import logging

from ...redaction import redact

__all__ = ["WithoutSignatures", "hide_signatures"]

#: The loggers of urllib3 that log URLs. A logger's filter does not see the lines of the loggers below it.
LOGGERS = ("urllib3.connection", "urllib3.connectionpool", "urllib3.poolmanager", "urllib3.util.retry")


class WithoutSignatures(logging.Filter):
    """Rewrite such records; drop none."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true."""
        text = record.getMessage()
        if "auth_" in text:
            record.msg, record.args = redact(text), None
        return True


def hide_signatures() -> None:
    """Install the filter in this process, once."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, WithoutSignatures) for one in logger.filters):
            logger.addFilter(WithoutSignatures())
