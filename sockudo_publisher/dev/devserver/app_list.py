"""Apps in an environment variable: ``id:key:secret``, several by spaces. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

from .config import AppConfig, Features

__all__ = ["APPS_VARIABLE", "apps_of"]

#: The variable. Percent-encode a ``:``, a ``%`` or a space in a part.
APPS_VARIABLE = "SOCKUDO_DEVSERVER_APPS"


def apps_of(environ: Mapping[str, str], features: Features = Features()) -> list[AppConfig]:  # noqa: B008 -- frozen
    """The apps. Raises ``ValueError``, which never shows a secret."""
    apps = []
    for index, text in enumerate(environ.get(APPS_VARIABLE, "").split(), 1):
        parts = [unquote(part) for part in text.split(":")]
        if len(parts) != 3 or not all(parts):
            raise ValueError(f"{APPS_VARIABLE}: app {index}: expected id:key:secret")
        app_id, key, secret = parts
        apps.append(AppConfig(app_id, key, secret, features=features))
    return apps
