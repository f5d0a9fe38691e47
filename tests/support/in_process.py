"""Commands and callers in the test's own process, each with the settings of a deployment: no interpreter is started."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from .stack import set_settings

__all__ = ["run_command", "settings_from"]


@contextmanager
def settings_from(environ: Mapping[str, str]) -> Iterator[None]:
    """These `SOCKUDO_*` variables and no others, while it lasts."""
    from sockudo_publisher import configure

    try:
        with pytest.MonkeyPatch.context() as patch:
            set_settings(patch, environ)
            yield
    finally:
        configure()


def run_command(environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """`sockudo-publisher ARGUMENTS`. An error that the command does not expect is the test's."""
    from sockudo_publisher.cli import main

    with settings_from(environ):
        done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    return subprocess.CompletedProcess(["sockudo-publisher", *arguments], done.exit_code, done.stdout, done.stderr)
