"""Ask Redis which commands our user may run, without running them. Decides nothing."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from redis.exceptions import NoPermissionError, ResponseError

from .rights import forms
from .values import RightsFacts

__all__ = ["look_at_rights"]

#: Redis 7 and Valkey answer it for the user that runs the script; it needs no right beside EVAL, and denies nothing
#: in ACL LOG. 1: allowed, 0: denied, -1: Redis has no such command (it was renamed).
_ASK = """#!lua flags=no-writes
local answer = {}
for i, form in ipairs(ARGV) do
  local is_known, is_allowed = pcall(redis.acl_check_cmd, unpack(cjson.decode(form)))
  answer[i] = is_known and (is_allowed and 1 or 0) or -1
end
return answer"""


def look_at_rights(client: Any, commands: Collection[str], key: str) -> RightsFacts:
    """What this client's user may not run of these commands, on this key.

    Raises what redis-py raises when Redis does not answer.
    """
    asked = forms(commands, key)
    try:
        answers = client.eval(_ASK, 0, *(json.dumps(form) for form in asked))
    except NoPermissionError:
        return _by_dry_run(client, asked)
    except ResponseError:
        return RightsFacts()
    return RightsFacts(frozenset([form[0] for form, answer in zip(asked, answers, strict=True) if answer != 1]))


def _by_dry_run(client: Any, asked: Collection[tuple[str, ...]]) -> RightsFacts:
    """For a user without EVAL but with ACL (an administrator who looks)."""
    try:
        user = client.execute_command("ACL", "WHOAMI")
        denied = [
            form[0] for form in asked if client.execute_command("ACL", "DRYRUN", user, *form) not in (b"OK", "OK")
        ]
    except ResponseError:
        return RightsFacts(eval_denied=True)
    return RightsFacts(frozenset(denied), eval_denied="eval" in denied)
