"""Forms of events, and who refuses them: the caller, a Sockudo as it comes, both or neither.

Each is the fields of an event that differ from a plain one. Shared by the tests against the servers and by those
that publish through the queue, so that a new release of Sockudo shows its differences in one place.
"""

from __future__ import annotations

from typing import Any

__all__ = ["ACCEPTED", "CONFIGURED", "REFUSED", "STRICTER", "nested"]


def nested(levels: int, bracket: str = "[") -> Any:
    """Lists or objects in each other, that number of them."""
    value: Any = [] if bracket == "[" else {}
    for _ in range(levels - 1):
        value = [value] if bracket == "[" else {"a": value}
    return value


def _extras(**forms: Any) -> dict[str, dict[str, Any]]:
    return {f"extras {name.replace('_', ' ')}": {"extras": extras} for name, extras in forms.items()}


def _channels(*names: str) -> dict[str, dict[str, Any]]:
    return {f"channel {name[:40]!r}": {"channel": name} for name in names}


def _names(*names: str) -> dict[str, dict[str, Any]]:
    return {f"name {name[:40]!r}": {"name": name} for name in names}


#: Taken by the caller and by the server.
ACCEPTED: dict[str, dict[str, Any]] = {
    "plain": {},
    **_channels("a", "aZ09-_=@.,;", "..", "presence-a", "private-a", "cache-a", "ai-a", "pusher", "client-a"),
    **_channels("private-", "#server-to-user-a", "#server-to-user-a:b", "c" * 200, "#server-to-user-" + "u" * 184),
    **_names("e" * 200, "é" * 100, "\x00", "\x01\x1f\x7f\n", " ", "\u2028", "\ufffe\uffff", "😀", "client-e"),
    **_names("pusher:subscribe", "pusher:error", "pusher_internal:subscription_succeeded", "sockudo:e", "push"),
    **_names("sockudo_internal:e", "ai-", "ai-other", "AI-input", "ai-turn-resume", "sockudo:ai-input"),
    "data empty": {"data": ""},
    "data control characters": {"data": "\x00\x01\x7f"},
    "data text of deep JSON": {"data": "[" * 500 + "]" * 500},
    "data text of a long integer": {"data": str(2**80)},
    "id 128 bytes": {"message_id": "é" * 64},
    "id control characters": {"message_id": "\x00\n"},
    "tags none": {"tags": {}},
    "tags many": {"tags": {f"t{n}": "v" for n in range(3000)}},
    "tags long": {"tags": {"a": "x" * 60_000}},
    "tags odd text": {"tags": {"": "", "\x00": "\x00", "😀": "😀", "ai": "x"}},
    **_extras(
        empty={},
        all_null={"push": None, "headers": None, "ephemeral": None, "echo": None, "idempotencyKey": None, "ai": None},
        header_text={"headers": {"a": "b"}},
        header_bool={"headers": {"a": True}},
        header_float={"headers": {"a": 1.5}},
        header_integer={"headers": {"a": 2**64 - 1}},
        headers_empty={"headers": {}},
        ephemeral={"ephemeral": True},
        echo={"echo": False},
        own_key={"idempotencyKey": "k"},
        own_key_of_any_length={"idempotencyKey": "k" * 300},  # the message's own id counts
        own_key_empty={"idempotencyKey": ""},
        unknown_names={"": None, "Push": {}, "Headers": [], "transport": 1, "z": [1, {"a": None}], "\x00": "\x00"},
        many={f"k{n}": n for n in range(3000)},
        long={"z": "x" * 60_000},
        nested_124={"z": nested(123)},
        nested_124_objects={"z": nested(123, "{")},
        brackets_in_text={"z": "[" * 500},
        many_brackets={"z": [[]] * 500},
        highest_integer={"z": 2**64 - 1},
        lowest_integer={"z": -(2**63)},
        long_digits_in_text={"z": "1" * 40},
        floats={"z": [1e308, -0.0, 5e-324, 1e300]},
    ),
}

#: Refused by both. The words are the caller's.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    **{
        f"channel {name[:20]!r}": (
            {"channel": name},
            "200 bytes" if name.isascii() and len(name) > 200 else "some are not allowed",
        )
        for name in (
            "a b",
            "a/b",
            "a\n",
            "\x00",
            "a%",
            "é",
            "日本",
            "😀",
            "a+b",
            "[meta]a",
            "*",
            "a#b",
            "#server-to-user-é",
        )
    },
    "channel 201 bytes": ({"channel": "c" * 201}, "channel: 201 bytes, limit 200"),
    "name 201 bytes": ({"name": "e" * 201}, "event name: 201 bytes, limit 200"),
    "name 204 bytes": ({"name": "😀" * 51}, "event name: 204 bytes, limit 200"),
    "name lone surrogate": ({"name": "\ud800"}, "event name: not UTF-8"),
    "data lone surrogate": ({"data": "\udc00"}, "data: not UTF-8"),
    "id empty": ({"message_id": ""}, "empty, expected 1 to 128 bytes"),
    "id 129 bytes": ({"message_id": "m" * 129}, "129 bytes, limit 128"),
    "tags number": ({"tags": {"a": 1}}, "tags['a']: a int, expected a str"),
    "tags null": ({"tags": {"a": None}}, "tags['a']: a NoneType, expected a str"),
    "tags lone surrogate": ({"tags": {"a": "\ud800"}}, "tags: not UTF-8"),
    "tags list": ({"tags": []}, "tags: a list, expected a mapping"),
    "extras list": ({"extras": []}, "extras: a list, expected a mapping"),
    "extras lone surrogate": ({"extras": {"a": "\ud800"}}, "extras: not UTF-8"),
    "extras nested 125": ({"extras": {"z": nested(124)}}, "extras: 125 levels of JSON, limit 124"),
    "extras nested 125 objects": ({"extras": {"z": nested(124, "{")}}, "extras: 125 levels of JSON, limit 124"),
    "extras nested 300": ({"extras": {"z": [1, {"a": nested(297)}]}}, "extras: 300 levels of JSON, limit 124"),
    "extras 400 digits": ({"extras": {"z": 10**400}}, "extras['z']: an integer of 1329 bits, limit 64"),
    **{
        f"extras push {value!r}": ({"extras": {"push": value}}, "extras.push: Sockudo refuses every value")
        for value in ({}, {"notification": {"title": "t"}}, [], "x", 1, True)
    },
    "extras ephemeral text": ({"extras": {"ephemeral": "x"}}, "extras.ephemeral: a str, expected a bool"),
    "extras ephemeral 1": ({"extras": {"ephemeral": 1}}, "extras.ephemeral: a int, expected a bool"),
    "extras echo text": ({"extras": {"echo": "no"}}, "extras.echo: a str, expected a bool"),
    "extras own key number": ({"extras": {"idempotencyKey": 1}}, "extras.idempotencyKey: a int, expected a str"),
    "extras headers list": ({"extras": {"headers": []}}, "extras.headers: a list, expected a mapping"),
    "extras headers text": ({"extras": {"headers": "x"}}, "extras.headers: a str, expected a mapping"),
    "extras header null": ({"extras": {"headers": {"a": None}}}, "extras.headers['a']: None, expected a str, a number"),
    "extras header list": ({"extras": {"headers": {"a": [1]}}}, "extras.headers['a']: a list, expected a str"),
    "extras header object": ({"extras": {"headers": {"a": {}}}}, "extras.headers['a']: a dict, expected a str"),
    "extras ai text": ({"extras": {"ai": "x"}}, "extras.ai: a str, expected a mapping"),
    "extras ai list": ({"extras": {"ai": []}}, "extras.ai: a list, expected a mapping"),
    "extras ai transport text": ({"extras": {"ai": {"transport": "x"}}}, "extras.ai.transport: a str, expected"),
    "extras ai transport number": ({"extras": {"ai": {"transport": {"a": 1}}}}, "extras.ai.transport['a']: a int"),
    "extras ai codec list": ({"extras": {"ai": {"codec": []}}}, "extras.ai.codec: a list, expected a mapping"),
    "extras ai codec object": ({"extras": {"ai": {"codec": {"a": {}}}}}, "extras.ai.codec['a']: a dict"),
}

#: Refused by the caller, taken by the server, each for a reason.
STRICTER: dict[str, tuple[dict[str, Any], str]] = {
    # As in the Pusher SDKs: an event without a name, or for no channel, is a mistake.
    "channel empty": ({"channel": ""}, "channel: empty"),
    "name empty": ({"name": ""}, "event name: empty"),
    # Pusher's alphabet has no '#'; Sockudo's has it for the channel of one user.
    "channel of no user": ({"channel": "#server-to-user-"}, "some are not allowed"),
    "channel with #": ({"channel": "#a"}, "some are not allowed"),
    # They arrive as a float, which is another number.
    "extras 2^64": ({"extras": {"z": [{"a": 2**64}]}}, "extras['z'][0]['a']: an integer of 65 bits, limit 64"),
    "extras -2^63-1": ({"extras": {"z": -(2**63) - 1}}, "extras['z']: an integer of 64 bits, limit 64"),
    "extras header 2^64": ({"extras": {"headers": {"a": 2**64}}}, "extras['headers']['a']: an integer of 65 bits"),
    # It deduplicates nothing.
    "extras key in snake case": ({"extras": {"idempotency_key": "k"}}, "extras: idempotency_key"),
    # More than any tag or header needs, and it keeps an event far below a batch's bound.
    "tags 64 KB": ({"tags": {"a": "x" * 70_000}}, "tags: 70008 bytes, limit 65536"),
    "extras 64 KB": ({"extras": {"a": "x" * 70_000}}, "extras: 70008 bytes, limit 65536"),
}

#: Taken by the caller, who warns; refused by a server that is not configured for it.
CONFIGURED: dict[str, tuple[dict[str, Any], str]] = {
    **{
        f"channel {name!r}": ({"channel": name}, f"namespace={namespace}")
        for name, namespace in {
            "user:1": "user",
            "a:b:c": "a",
            ":a": "",
            "a:": "a",
            "private-user:1": "user",
            "presence-user:1": "user",
            "cache-user:1": "user",
            "private-cache-user:1": "user",
        }.items()
    },
    **{
        f"name {name!r}": ({"name": name}, f"event={name}")
        for name in (
            *("ai-input", "ai-output", "ai-cancel", "ai-turn-start", "ai-turn-end", "ai-run-start", "ai-run-end"),
            *("ai-run-suspend", "ai-run-resume", "ai-step-start", "ai-step-end"),
        )
    },
    "extras ai": ({"extras": {"ai": {}}}, "extras.ai"),
    "extras ai transport": ({"extras": {"ai": {"transport": {"a": "b"}, "codec": None}}}, "extras.ai"),
}
