"""What an error reply of Redis proves, and what to do about it. Pure.

An error reply names a script in two cases: the script could not be compiled, or it failed while it ran, perhaps after a
write, which Redis does not undo. Redis 7 and Valkey 8 end the second kind with ``script: SHA, on @user_script:LINE.``
(tested with both). All other refusals (a missing right, a full or read-only Redis, an unknown script) come before a
script's first line, so nothing was stored.
"""

from __future__ import annotations

import re
from typing import Any

from redis.exceptions import NoPermissionError, NoScriptError, OutOfMemoryError, ResponseError

from ...errors import JournalUnavailable, JournalUnreadable
from .scripts import script_with

__all__ = ["checked", "describe_refusal", "error_words", "has_failed_in_script", "is_about_data", "is_out_of_memory"]

# Patterns are compiled at their first use: every publisher loads this module, few are ever refused.

#: How Redis names the place in a script that an error came from.
_IN_SCRIPT = r"script: ([0-9a-f]{40}), on @?user_script:(\d+)"
#: The same from older servers (Redis 6 and before: "Error running script (call to f_SHA): @user_script:3: ...").
_RUNNING = ("Error running script", "@user_script", "Script killed by user")

_COMMAND_OF_LINE = r"redis\.p?call\(\s*'(\w+)'"
_DENIED_COMMAND = r"no permissions to run the '([\w|]+)' command"
_UNKNOWN_COMMAND = r"(?i)unknown command [`']?(\w+)"

#: Valkey names the user, whom this package shows nowhere.
_USER = r"User \S+ has"

#: The answers of Redis to a command in a script that the user may not run.
_DENIED_IN_SCRIPT = ("can't run this command or subcommand", "ACL failure in script")

_RIGHTS = "the rights that each part needs are in docs/deployment.md"


def checked(answer: Any) -> Any:
    """The answer itself. Raises :class:`JournalUnavailable` for an error reply; :class:`JournalUnreadable`, a subclass,
    if a key's data is the cause.

    Its ``stored`` is ``None`` if the error came from the middle of a script, else ``False``.
    """
    if isinstance(answer, Exception):
        stored = None if has_failed_in_script(answer) else False
        kind = JournalUnreadable if is_about_data(answer) else JournalUnavailable
        raise kind(f"Redis refused: {describe_refusal(answer)}", stored=stored)
    return answer


def has_failed_in_script(answer: object) -> bool:
    """Whether a script failed while it ran: its writes before that stay."""
    if not isinstance(answer, ResponseError):
        return False
    text = str(answer)
    return re.search(_IN_SCRIPT, text) is not None or any(words in text for words in _RUNNING)


#: Error replies to a script for temporary reasons or missing rights, not because of the data.
_PASSING = (
    *("OOM", "MISCONF", "READONLY", "LOADING", "BUSY", "NOREPLICAS", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN"),
    *("MOVED", "ASK ", "NOPERM", "NOAUTH", "UNBLOCKED", "KILLED", "killed by user", *_DENIED_IN_SCRIPT),
)


def is_about_data(answer: object) -> bool:
    """Whether a key's data is the cause of an error reply: another type, or not a number where a script needs one."""
    text = str(answer)
    if not isinstance(answer, ResponseError) or isinstance(answer, NoScriptError):
        return False
    return "WRONGTYPE" in text or (has_failed_in_script(answer) and not any(word in text for word in _PASSING))


def is_out_of_memory(answer: object) -> bool:
    """Whether Redis refused a write because it is full, before anything was written."""
    if has_failed_in_script(answer):
        return False
    # redis-py removes the code from the start of the text; behind a script's name it may remain.
    return isinstance(answer, OutOfMemoryError) or (isinstance(answer, ResponseError) and "OOM" in str(answer))


def describe_refusal(error: Exception) -> str:
    """The error's text, and the missing right or version if that is the cause."""
    advice = _advice(error)
    return f"{error_words(error)}; {advice}" if advice else error_words(error)


def error_words(error: Exception) -> str:
    """The kind of an error, with its text only if that cannot contain a URL or a value."""
    # The reply to an unknown command contains its arguments: those of HELLO are user and password. redis-py puts a
    # pipeline's command before the text, with all its data.
    text = str(error).rpartition("of pipeline caused error: ")[2]
    text = text.split("\n", 1)[0].split("with args", 1)[0].rstrip(" ,")
    text = re.sub(_USER, "the user has", text)
    return f"{type(error).__name__}: {text}"[:200] if isinstance(error, ResponseError) else type(error).__name__


def _advice(error: Exception) -> str:
    text = str(error)
    if "Error compiling script" in text or "shebang" in text or "scripting engine" in text:
        return "the journal's scripts need Redis 7 or later, or Valkey"
    found = re.search(_IN_SCRIPT, text)
    if found is not None and any(words in text for words in _DENIED_IN_SCRIPT):
        return _advice_in_script(found[1], int(found[2]))
    if isinstance(error, NoScriptError):  # also after EVAL: another command has that name, or a proxy answers
        return f"Redis does not know the script though it was sent with EVAL; {_RIGHTS}"
    if isinstance(error, NoPermissionError):
        denied = re.search(_DENIED_COMMAND, text)
        right = (
            f"`ACL SETUSER <user> +{denied[1].lower()}`"
            if denied
            else "a key pattern, as in ~sockudo:* (with a namespace: ~NAMESPACE:sockudo:*)"
        )
        return f"allow it with {right}; {_RIGHTS}"
    unknown = re.search(_UNKNOWN_COMMAND, text)
    if unknown is not None:
        return f"the journal needs {unknown[1].upper()} under its own name, in Redis 7 or later, or Valkey"
    return ""


def _advice_in_script(sha1: str, line_number: int) -> str:
    script = script_with(sha1)
    lines = script.text.split("\n") if script else []
    line = lines[line_number - 1] if 0 < line_number <= len(lines) else ""
    commands = dict.fromkeys(name.lower() for name in re.findall(_COMMAND_OF_LINE, line))
    rights = " ".join(f"+{name}" for name in commands)
    where = f"script {script.name}, " if script else ""
    return f"{where}allow it with `ACL SETUSER <user> {rights}`; {_RIGHTS}" if rights else f"{where}{_RIGHTS}"
