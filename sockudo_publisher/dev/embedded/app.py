"""An app of a Sockudo server: id, key, secret and limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

__all__ = ["DEFAULT_APP", "SockudoApp"]


@dataclass(frozen=True)
class SockudoApp:
    """One app, as the server's configuration has it. ``limits`` are the server's ``policy.limits``.

    ``max_event_batch_size`` is raised above what workers send (500, up to 1,000 when measured). ``policy``
    holds further parts of the server's ``policy`` (``features``, ``webhooks``), over those made here; the
    development server has none of them.
    """

    id: str = "app"
    key: str = "key"
    secret: str = field(default="secret", repr=False)
    limits: Mapping[str, int] = field(default_factory=lambda: {"max_event_batch_size": 2000})
    policy: Mapping[str, Any] = field(default_factory=dict)

    def url(self, host: str, port: int) -> str:
        """The app's ``SOCKUDO_URL``."""
        key, secret, app_id = (quote(part, safe="") for part in (self.key, self.secret, self.id))
        return f"http://{key}:{secret}@{host}:{port}/apps/{app_id}"


DEFAULT_APP = SockudoApp()
