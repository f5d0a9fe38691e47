"""Ask Redis which commands the user may run, without running them. Decides nothing."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from redis.exceptions import NoPermissionError, ResponseError

from .rights import complete_commands
from .values import RightsFacts

__all__ = ["collect_rights"]

#: Checks the rights of the user that runs the script (Redis 7, Valkey). Needs no right except EVAL, and leaves no
#: denial in ACL LOG. 1: allowed, 0: denied, -1: Redis has no such command (it was renamed).
_ASK = """#!lua flags=no-writes
local answer = {}
for i, form in ipairs(ARGV) do
  local is_known, is_allowed = pcall(redis.acl_check_cmd, unpack(cjson.decode(form)))
  answer[i] = is_known and (is_allowed and 1 or 0) or -1
end
return answer"""


def collect_rights(client: Any, commands: Collection[str], key: str) -> RightsFacts:
    """Collect which of these commands the client's user may not run on this key.

    Raises what redis-py raises when Redis does not answer.
    """
    asked = complete_commands(commands, key)
    try:
        answers = client.eval(_ASK, 0, *(json.dumps(form) for form in asked))
    except NoPermissionError:
        return _collect_by_dry_run(client, asked)
    except ResponseError:
        return RightsFacts()
    return RightsFacts(frozenset([form[0] for form, answer in zip(asked, answers, strict=True) if answer != 1]))


def _collect_by_dry_run(client: Any, asked: Collection[tuple[str, ...]]) -> RightsFacts:
    """For a user with ACL but without EVAL, such as an administrator."""
    try:
        user = client.execute_command("ACL", "WHOAMI")
        denied = [
            form[0] for form in asked if client.execute_command("ACL", "DRYRUN", user, *form) not in (b"OK", "OK")
        ]
    except ResponseError:
        return RightsFacts(eval_denied=True)
    return RightsFacts(frozenset(denied), eval_denied="eval" in denied)
