"""What an error that Redis answers proves, and what to do about it. Pure.

An error reply names a script in two cases: the script could not be compiled, or it failed while it ran,
perhaps after a write, which Redis never takes back. Redis 7 and Valkey 8 end the second kind with
``script: SHA, on @user_script:LINE.`` (tried with both). All other refusals (a missing right, a full or
read-only Redis, an unknown script) come before a script's first line, so nothing was stored.
"""

from __future__ import annotations

import re
from typing import Any

from redis.exceptions import NoPermissionError, NoScriptError, OutOfMemoryError, ResponseError

from ...errors import JournalUnavailable, JournalUnreadable
from .scripts import script_with

__all__ = ["checked", "describe_refusal", "error_words", "has_failed_in_script", "is_about_data", "is_out_of_memory"]

#: How Redis says where in a script an error came from.
_IN_SCRIPT = re.compile(r"script: ([0-9a-f]{40}), on @?user_script:(\d+)")
#: What older servers say of the same (Redis 6 and before: "Error running script (call to f_SHA): @user_script:3: ...").
_RUNNING = ("Error running script", "@user_script", "Script killed by user")

_COMMAND_OF_LINE = re.compile(r"redis\.p?call\(\s*'(\w+)'")
_DENIED_COMMAND = re.compile(r"no permissions to run the '([\w|]+)' command")
_UNKNOWN_COMMAND = re.compile(r"unknown command [`']?(\w+)", re.IGNORECASE)

#: Valkey names the user, who is shown nowhere else.
_USER = re.compile(r"User \S+ has")

#: How Redis answers a command inside a script that the user may not run.
_DENIED_IN_SCRIPT = ("can't run this command or subcommand", "ACL failure in script")

_RIGHTS = "the rights that each part needs are in docs/deployment.md"


def checked(answer: Any) -> Any:
    """The answer itself. Raises :class:`JournalUnavailable` for an error that Redis answered, and of it
    :class:`JournalUnreadable` where the cause is what a key holds.

    Its ``stored`` is ``None`` where the error came out of the middle of a script, else ``False``.
    """
    if isinstance(answer, Exception):
        stored = None if has_failed_in_script(answer) else False
        kind = JournalUnreadable if is_about_data(answer) else JournalUnavailable
        raise kind(f"Redis refused: {describe_refusal(answer)}", stored=stored)
    return answer


def has_failed_in_script(answer: object) -> bool:
    """Whether a script failed while it ran: what it had written before stays."""
    if not isinstance(answer, ResponseError):
        return False
    text = str(answer)
    return _IN_SCRIPT.search(text) is not None or any(words in text for words in _RUNNING)


#: What Redis answers to a script for reasons of its own, which pass: nothing is wrong with the data then.
_PASSING = (
    *("OOM", "MISCONF", "READONLY", "LOADING", "BUSY", "NOREPLICAS", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN"),
    *("MOVED", "ASK ", "NOPERM", "NOAUTH", "UNBLOCKED", "KILLED", "killed by user", *_DENIED_IN_SCRIPT),
)


def is_about_data(answer: object) -> bool:
    """Whether Redis refused a command for what a key holds: another type, or no number where a script needs one."""
    text = str(answer)
    if not isinstance(answer, ResponseError) or isinstance(answer, NoScriptError):
        return False
    return "WRONGTYPE" in text or (has_failed_in_script(answer) and not any(word in text for word in _PASSING))


def is_out_of_memory(answer: object) -> bool:
    """Whether Redis refused a write for want of memory, before anything was written."""
    if has_failed_in_script(answer):
        return False
    # redis-py takes the code off the words where it is the first of them; behind a script's it may not be.
    return isinstance(answer, OutOfMemoryError) or (isinstance(answer, ResponseError) and "OOM" in str(answer))


def describe_refusal(error: Exception) -> str:
    """The words of Redis, and the right or the version that is missing where that is the cause."""
    advice = _advice(error)
    return f"{error_words(error)}; {advice}" if advice else error_words(error)


def error_words(error: Exception) -> str:
    """The kind of an error, with its text only where that cannot hold a URL or a value."""
    # An unknown command is answered with its arguments, and HELLO's are user and password.
    # redis-py puts a pipeline's command before them, with all that was to be stored.
    text = str(error).rpartition("of pipeline caused error: ")[2]
    text = text.split("\n", 1)[0].split("with args", 1)[0].rstrip(" ,")
    text = _USER.sub("the user has", text)
    return f"{type(error).__name__}: {text}"[:200] if isinstance(error, ResponseError) else type(error).__name__


def _advice(error: Exception) -> str:
    text = str(error)
    if "Error compiling script" in text or "shebang" in text or "scripting engine" in text:
        return "the journal's scripts need Redis 7 or later, or Valkey"
    found = _IN_SCRIPT.search(text)
    if found is not None and any(words in text for words in _DENIED_IN_SCRIPT):
        return _advice_in_script(found[1], int(found[2]))
    if isinstance(error, NoScriptError):  # also after EVAL: it was taken for another command, or by a proxy
        return f"Redis does not know the script though it was sent with EVAL; {_RIGHTS}"
    if isinstance(error, NoPermissionError):
        denied = _DENIED_COMMAND.search(text)
        right = (
            f"`ACL SETUSER <user> +{denied[1].lower()}`"
            if denied
            else "a key pattern, as in ~sockudo:* (with a namespace: ~NAMESPACE:sockudo:*)"
        )
        return f"allow it with {right}; {_RIGHTS}"
    unknown = _UNKNOWN_COMMAND.search(text)
    if unknown is not None:
        return f"the journal needs {unknown[1].upper()} under its own name, in Redis 7 or later, or Valkey"
    return ""


def _advice_in_script(sha1: str, line_number: int) -> str:
    script = script_with(sha1)
    lines = script.text.split("\n") if script else []
    line = lines[line_number - 1] if 0 < line_number <= len(lines) else ""
    commands = dict.fromkeys(name.lower() for name in _COMMAND_OF_LINE.findall(line))
    rights = " ".join(f"+{name}" for name in commands)
    where = f"script {script.name}, " if script else ""
    return f"{where}allow it with `ACL SETUSER <user> {rights}`; {_RIGHTS}" if rights else f"{where}{_RIGHTS}"
