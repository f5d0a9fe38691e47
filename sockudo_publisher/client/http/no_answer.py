"""The error of a call without a usable answer, which is an error of ``requests`` too.

Programs written for ``pusher`` catch ``requests.exceptions.RequestException`` around their calls.
:mod:`~sockudo_publisher.errors` does not import requests, so these subclasses are here; a program that makes a call
has loaded requests already.
"""

from __future__ import annotations

import requests.exceptions

from ...errors import SockudoConnectionError

__all__ = ["NoAnswer", "TimedOut"]


class NoAnswer(SockudoConnectionError, requests.exceptions.ConnectionError):
    """A ``SockudoConnectionError`` that ``except requests.exceptions.RequestException`` catches."""


class TimedOut(NoAnswer, requests.exceptions.Timeout):
    """A :class:`NoAnswer` because of a timeout."""


# Programs log the documented name of an error; pickle uses the qualified name.
NoAnswer.__name__ = TimedOut.__name__ = SockudoConnectionError.__name__
