"""Facts as tests: `--target` says which server is observed, the hook below judges what a test returns.

Without `--target` (in `make test`) the quick facts alone run, against the real server where there is one.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.fact import Fact, fact_of
from tests.conformance.record import NOT_THERE, RECORDED_RELEASE, Verdict, judge, load_recorded, reason_of
from tests.conformance.setups import HISTORY, LIMITED, PLAIN, PROTOCOL_2, SHORT
from tests.conformance.targets import Node, Target, default_target
from tests.conformance.values import normalize
from tests.support.parts import not_for_this_case

#: The variable for `--target`, where a command line is not at hand.
VARIABLE = "CONFORMANCE_TARGET"
#: Under this name a test's verdict goes from a process of pytest-xdist to its parent.
PROPERTY = "conformance"
#: And under this one the fact's id.
FACT = "fact"


class FactChanged(AssertionError):
    """The server answers otherwise than 5.2.0 did."""

    __module__ = "builtins"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--target", help="real, embedded, or http://KEY:SECRET@HOST:PORT/apps/ID; all facts run")
    group.addoption("--observed", metavar="FILE", help="write what was observed there, as JSON")
    group.addoption("--accept", action="store_true", help="what was observed is to be the record: no value fails")


def _named_target(config: pytest.Config) -> str:
    return str(config.getoption("--target", None) or os.environ.get(VARIABLE) or "")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each fact's id goes into its reports. Without a named target: the quick ones."""
    for item in items:
        if (fact := _fact(item)) is not None:
            item.user_properties.append((FACT, fact.id))
    if _named_target(config):
        return
    left_out = [item for item in items if (fact := _fact(item)) is not None and not fact.is_quick]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]


def _fact(item: pytest.Item) -> Fact | None:
    return fact_of(item.function) if isinstance(item, pytest.Function) else None


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Where facts are observed."""
    made = Target(_named_target(request.config) or default_target(), tmp_path_factory.mktemp("conformance"))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def only_where_it_is_a_fact(request: pytest.FixtureRequest) -> None:
    """Protocol 2 is the real server's alone. Asked first, so that no server starts for it."""
    fact = _fact(request.node)
    if fact is None or not fact.is_real_only:
        return
    if request.getfixturevalue("target").kind == "embedded":
        not_for_this_case("the embedded server has protocol 7 alone")


@pytest.fixture
def name() -> str:
    """A text that no other fact has: a channel, an id. In what is recorded it is `NAME`."""
    return f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def plain(target: Target) -> Node:
    """A server as the promise needs it, its app without limits."""
    return target.node(PLAIN)


@pytest.fixture
def limited(target: Target) -> Node:
    """An app with small limits."""
    return target.node(LIMITED)


@pytest.fixture
def short(target: Target) -> Node:
    """A server that remembers for two seconds."""
    return target.node(SHORT)


@pytest.fixture
def history(target: Target) -> Node:
    """A server with history of channels and of presence."""
    return target.node(HISTORY)


@pytest.fixture
def native(target: Target) -> Node:
    """A server with all that protocol 2 has."""
    return target.node(PROTOCOL_2)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a fact and judge its value."""
    fact = _fact(pyfuncitem)
    if fact is None:
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    target: Target = pyfuncitem._request.getfixturevalue("target")
    recorded = load_recorded()
    is_embedded = target.kind == "embedded"
    try:
        value = pyfuncitem.obj(**arguments)
    except Exception as error:
        # A difference that is listed may also be that the test cannot go on.
        if not (is_embedded and reason_of(fact.id) and fact.id in recorded):
            raise
        observed: Any = NOT_THERE
        pyfuncitem.user_properties.append(("error", f"{type(error).__name__}: {error}"[:300]))
    else:
        observed = normalize(value, _tokens(arguments))
    verdict = judge(fact.id, observed, recorded, is_embedded=is_embedded)
    pyfuncitem.user_properties.append((PROPERTY, json.dumps(verdict.as_json())))
    if pyfuncitem.config.getoption("--accept", False):
        return True
    if verdict.state == "changed":
        raise FactChanged(_change_text(fact, target, verdict))
    if verdict.state == "new":
        raise FactChanged(f"{fact.id}: nothing is recorded of {RECORDED_RELEASE}; run `make conformance ARGS=--record`")
    return True


def _change_text(fact: Fact, target: Target, verdict: Verdict) -> str:
    lines = [f"{fact.id} ({fact.sentence})", f"- {RECORDED_RELEASE}", f"+ {target.release}", *verdict.diff]
    return "\n".join([*lines, f"rests on it: {fact.promise.value[0]}; see docs/server.md#{fact.source}"])


def _tokens(arguments: dict[str, Any]) -> dict[str, str]:
    """What differs from run to run."""
    tokens = {str(arguments["name"]): "NAME"} if "name" in arguments else {}
    for value in arguments.values():
        if isinstance(value, Node):
            tokens[f"{value.address.host}:{value.address.port}"] = "HOST:PORT"
    return tokens


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect the verdicts, in the parent of pytest-xdist too."""
    properties = dict(report.user_properties)
    fact_id = str(properties.get(FACT, ""))
    if report.skipped and fact_id:
        _seen[fact_id] = Verdict(fact_id, "skipped", reason=_reason(report))
    elif report.when == "call" and PROPERTY in properties:
        verdict = json.loads(str(properties[PROPERTY]))
        _seen[fact_id] = Verdict(**{**verdict, "diff": tuple(verdict["diff"])})


def _reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ").removeprefix("NotForThisCase: ")


_seen: dict[str, Verdict] = {}


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """What changed, fact by fact; and the file for the generator."""
    changed = [verdict for verdict in _seen.values() if verdict.state == "changed"]
    if changed:
        terminalreporter.section(f"facts that are not as in {RECORDED_RELEASE}")
        for verdict in sorted(changed, key=lambda one: one.fact):
            terminalreporter.write_line(verdict.fact)
            for line in verdict.diff:
                terminalreporter.write_line(f"  {line}")
    if file := config.getoption("--observed", None):
        Path(file).write_text(json.dumps([_seen[key].as_json() for key in sorted(_seen)], indent=1))
