"""The error of a call without a usable answer, which is an error of ``requests`` too.

Programs that come from ``pusher`` have ``except requests.exceptions.RequestException`` around their calls.
:mod:`~sockudo_publisher.errors` imports nothing, and so cannot say it; a program that makes a call has loaded
requests already.
"""

from __future__ import annotations

import requests.exceptions

from ...errors import SockudoConnectionError

__all__ = ["NoAnswer", "TimedOut"]


class NoAnswer(SockudoConnectionError, requests.exceptions.ConnectionError):
    """A ``SockudoConnectionError`` that ``except requests.exceptions.RequestException`` catches."""


class TimedOut(NoAnswer, requests.exceptions.Timeout):
    """The same, when the time was up."""


# What programs log of an error is the name that is documented; pickle goes by the qualified one.
NoAnswer.__name__ = TimedOut.__name__ = SockudoConnectionError.__name__
