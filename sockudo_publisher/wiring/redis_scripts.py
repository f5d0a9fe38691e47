"""Scripts of redis-py and kombu without ``SCRIPT LOAD``.

kombu's bindings and redis-py's locks call scripts by their SHA-1 and load them where Redis does not know them. A Redis
that denies ``SCRIPT`` (managed services, an ACL) would end a worker that way. Sent with ``EVAL`` they do the same.
Used in this package's own processes: workers and the doctor. Imports nothing of the package.
"""

from __future__ import annotations

from typing import Any

from redis.client import Pipeline
from redis.commands.core import Script
from redis.exceptions import NoScriptError

__all__ = ["send_scripts_with_eval"]


def _call_with_eval(self: Script, keys: Any = None, args: Any = None, client: Any = None) -> Any:
    client = self.registered_client if client is None else client
    keys, args = tuple(keys or ()), tuple(args or ())
    if not isinstance(client, Pipeline):
        try:
            return client.evalsha(self.sha, len(keys), *keys, *args)
        except NoScriptError:
            pass
    # A pipeline's answers come later; redis-py itself asks with SCRIPT EXISTS before.
    return client.eval(self.script, len(keys), *keys, *args)


def send_scripts_with_eval() -> None:
    """Let redis-py in this process send a script that Redis does not know with ``EVAL``."""
    Script.__call__ = _call_with_eval  # type: ignore[method-assign]
