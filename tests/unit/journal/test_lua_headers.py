"""The headers of the Lua scripts say what the scripts do: a wrong header is worse than none.

Beside what is compared here, ``tests/integration/journal/test_every_script.py`` compares them with the calls.
"""

from __future__ import annotations

import re

import pytest

from sockudo_publisher.journal.redis import scripts
from sockudo_publisher.journal.redis.scripts import Answer
from tests.unit.journal.lua_header import (
    answered,
    code,
    comment,
    is_operation,
    name_lines,
    named_keys,
    paths,
    read_header,
    used,
)

pytestmark = pytest.mark.unit

TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in paths()}
OPERATIONS = sorted(name for name, text in TEXTS.items() if is_operation(text))
INCLUDED = sorted(set(TEXTS) - set(OPERATIONS))

each_operation = pytest.mark.parametrize("name", OPERATIONS)


def test_every_script_is_known_to_python_and_sorted() -> None:
    """A file that no caller has, or a name without a file, is a mistake."""
    assert list(scripts.NAMES) == OPERATIONS


def test_every_other_file_is_included_somewhere() -> None:
    """A file that no script includes is a mistake too."""
    wanted = {name for text in TEXTS.values() for name in re.findall(r"^-- include (\w+)$", text, re.MULTILINE)}
    assert wanted == set(INCLUDED)


@pytest.mark.parametrize("name", INCLUDED)
def test_an_included_file_explains_its_functions(name: str) -> None:
    """It works with what it is given: only the script knows what its keys are."""
    text = TEXTS[name]
    assert not used(text, "KEYS")
    assert not used(text, "ARGV")
    functions = re.findall(r"^local function (\w+)(\([^)]*\))", text, re.MULTILINE)
    explained = dict(re.findall(r"^-- (\w+)(\([^)]*\)):", text, re.MULTILINE))
    assert explained, "the first thing it says is what it is for"
    assert explained.items() <= dict(functions).items(), "under the names and parameters that it has"
    outside = code("".join(TEXTS[script] for script in OPERATIONS))
    for function, _ in functions:
        assert function in explained or not re.search(rf"\b{function}\(", outside)


@each_operation
def test_a_header_opens_with_its_own_name(name: str) -> None:
    """And not with a neighbour's, from which it was copied."""
    assert comment(TEXTS[name])[0].startswith(f"{name}: ")


@each_operation
@pytest.mark.parametrize("kind", ["KEYS", "ARGV"])
def test_every_key_and_argument_is_in_the_header_and_used(name: str, kind: str) -> None:
    """Numbered without a gap; nothing is used that is not there, nothing is there that is not used."""
    slots = read_header(name).slots(kind)
    assert [slot.number for slot in slots] == list(range(1, len(slots) + 1))
    assert all(slot.text for slot in slots), "each says what it is"
    assert not any(slot.repeats for slot in slots[:-1]), "only the last may repeat"
    fixed = {slot.number for slot in slots if not slot.repeats}
    found = used(TEXTS[name], kind)
    assert fixed <= found
    for slot in slots:
        if slot.repeats:  # met by counting from its number on
            assert re.search(rf"\b{slot.number}\b", code(TEXTS[name]))
            found = {number for number in found if number < slot.number}
    assert found == fixed


@each_operation
def test_the_answers_of_the_header_are_those_of_the_script(name: str) -> None:
    """By the names of ``scripts.Answer``."""
    named = read_header(name).answers
    assert named <= set(Answer.__members__)
    assert {Answer[word].value for word in named} == answered(TEXTS[name])


@each_operation
def test_every_return_begins_with_a_code(name: str) -> None:
    """The caller reads the first element and nothing else before it."""
    body = code(TEXTS[name])
    for function in re.findall(r"^local function .*?^end$", body, re.MULTILINE | re.DOTALL):
        body = body.replace(function, "")
    returns = re.findall(r"\breturn (\S+)", body)
    assert returns
    assert all(re.match(r"\{-?\d+|answer$", one) for one in returns), returns


def test_every_answer_is_given_by_some_script() -> None:
    """A code that no script answers is handled in vain."""
    assert {code for text in TEXTS.values() for code in answered(text)} == {answer.value for answer in Answer}


@each_operation
def test_keys_and_arguments_have_names(name: str) -> None:
    """Named in the first lines and used by name: a number says nothing to a reader, and one digit is easily wrong."""
    text = TEXTS[name]
    named = "\n".join(name_lines(text))
    body = code(text).replace(named, "", 1)
    assert not used(body, "KEYS")
    assert not used(body, "ARGV")
    names = re.findall(r"\w+", " ".join(line.strip()[6:].split(" = ")[0] for line in named.splitlines()))
    assert len(names) == len(set(names)), "each name is given once"
    assert all(re.search(rf"\b{one}\b", body) for one in names), "and used"


@each_operation
def test_keys_come_from_the_caller(name: str) -> None:
    """A key that a script made up would be in another slot of a Redis Cluster."""
    given = re.findall(r"redis\.p?call\('[A-Z]+', ([^,)]+)", code(TEXTS[name]))
    repeated = r"KEYS\[|held\[channel\]\[[12]\]$|(key|stream|state|gone)$"
    owned = re.compile("|".join([repeated, *(f"{one}$" for one in named_keys(TEXTS[name]))]))
    assert all(owned.match(one) for one in given if one != "'-'"), given


@each_operation
def test_only_what_stores_anew_is_refused_by_a_full_redis(name: str) -> None:
    """Draining goes on: everything but appends, replays and schedules is allowed in a Redis out of memory."""
    first = TEXTS[name].splitlines()[0]
    stores = {"append", "append_once", "replay", "schedule", "schedule_once"}
    reads = "GET|HGET|HMGET|XRANGE|XLEN|EXISTS|ZRANGE|HGETALL|TIME|TYPE|PTTL|SISMEMBER|ZREVRANGE"
    writes = re.search(
        rf"redis\.call\((command|'(?!{reads}))|\b(tally|add_depth|add_entry|add_letter|remove_letter|drop_letter|trim_dead|add_audit)\(",
        code(TEXTS[name]),
    )
    assert first == ("#!lua" if name in stores else "#!lua flags=allow-oom" if writes else "#!lua flags=no-writes")


def test_includes_are_resolved() -> None:
    """Once each: a second copy would be a second function of that name."""
    for one in scripts.all_scripts():
        assert "-- include" not in one.text
        functions = re.findall(r"^local function (\w+)", one.text, re.MULTILINE)
        assert len(functions) == len(set(functions))
