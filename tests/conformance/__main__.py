"""`make conformance`: observe every fact on the real and the embedded server, and write docs/server-facts.md.

Exit 1 when a fact changed, when a test failed, and in CI when there is no real server. `--check` writes nothing and
fails where the page is not what this run makes of it.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sockudo_publisher.dev.embedded import EmbeddedError, find_sockudo
from sockudo_publisher.dev.embedded.sockudo import sockudo_version

from .differences import DIFFERENCES
from .page import PAGE, import_facts, render
from .record import RECORDED_RELEASE, Verdict, load_recorded, save_recorded

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """What one run of pytest observed."""

    exit_code: int
    verdicts: dict[str, Verdict]


def observe(target: str, options: argparse.Namespace) -> Run:
    """All facts on one target, with pytest's output as it comes."""
    print(f"\n== {target}", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "observed.json")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "tests/conformance",
            f"--target={target}",
            f"--observed={file}",
        ]
        command += ["--numprocesses", str(options.jobs), "--dist", "loadfile", "-p", "no:cacheprovider"]
        command += ["--accept"] * (options.record and target == "real") + (["-k", options.k] if options.k else [])
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        found = json.loads(file.read_text()) if file.is_file() else []
    return Run(code, {one["fact"]: Verdict(**one) for one in found})


def real_server() -> tuple[str, str]:
    """The version of the real server, or an empty text and the reason."""
    if os.environ.get("WITHOUT_SOCKUDO"):
        return "", "WITHOUT_SOCKUDO is set"
    try:
        program = find_sockudo()
    except EmbeddedError as error:
        return "", str(error)
    return (sockudo_version(program) or "unknown", "") if program else ("", "set SOCKUDO_BIN, or put `sockudo` on PATH")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is chosen. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="make conformance", description=__doc__)
    parser.add_argument("--target", help="one target alone: real, embedded, or http://KEY:SECRET@HOST:PORT/apps/ID")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the page is out of date")
    parser.add_argument(
        "--record", action="store_true", help=f"write what this server answers as that of {RECORDED_RELEASE}"
    )
    parser.add_argument(
        "--jobs", type=int, default=4, help="files of facts at a time (4): they wait more than they compute"
    )
    parser.add_argument(
        "-k", default="", metavar="WORDS", help="facts whose test has these words; the page is not written"
    )
    options = parser.parse_args(arguments)
    release, absent = real_server()
    if options.record and release != RECORDED_RELEASE:
        parser.error(f"--record: the record is of {RECORDED_RELEASE}, the real server is {release or 'absent'}")
    if options.target:
        return int(not is_recorded(observe(options.target, options), options))
    failures: list[str] = []
    if absent:
        print(f"no real Sockudo: {absent}. Only the embedded server is observed.")
        if os.environ.get("CI") == "true" and not os.environ.get("WITHOUT_SOCKUDO"):
            failures.append("CI needs the real server, or WITHOUT_SOCKUDO=1")
    elif not is_recorded(observe("real", options), options):
        failures.append(f"the real server {release}: facts changed, or tests failed (above)")
    embedded = observe("embedded", options)
    if embedded.exit_code:
        failures.append("the embedded server: facts differ without a listed reason, or tests failed (above)")
    if not options.k:
        failures += unseen_differences(embedded)
        failures += settle_page(embedded, write=not (options.check or failures))
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return int(bool(failures))


def is_recorded(run: Run, options: argparse.Namespace) -> bool:
    """Whether every fact is as recorded; with `--record`, after what the real server answered was written."""
    if run.exit_code == 0 and options.record and not options.k and options.target in (None, "real"):
        save_recorded({one.fact: one.observed for one in run.verdicts.values() if one.state != "skipped"})
    return run.exit_code == 0


def unseen_differences(embedded: Run) -> list[str]:
    """Entries of the table that this run has not needed."""
    needed = {one.reason for one in embedded.verdicts.values() if one.state == "differs"}
    unseen = [pattern for pattern, reason in DIFFERENCES.items() if reason not in needed]
    return [f"{pattern}: listed in differences.py, and the servers agree; remove it" for pattern in unseen]


def settle_page(embedded: Run, *, write: bool) -> list[str]:
    """Write the page, or compare it."""
    import_facts()
    made, present = render(load_recorded(), embedded.verdicts), PAGE.read_text() if PAGE.is_file() else ""
    if made == present:
        return []
    if write:
        PAGE.write_text(made)
        print(f"written: {PAGE.relative_to(ROOT)}")
        return []
    sys.stderr.writelines(
        difflib.unified_diff(present.splitlines(True), made.splitlines(True), "the page", "this run", n=0)
    )
    return ["docs/server-facts.md is not what this run observed; run `make conformance`"]


if __name__ == "__main__":
    sys.exit(main())
