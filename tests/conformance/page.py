"""docs/server-facts.md: made from the facts in the code and what runs observed. Nothing in it is written by hand."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from .fact import FACTS, Fact
from .record import RECORDED_RELEASE, Verdict
from .values import shown

__all__ = ["AREAS", "PAGE", "columns", "import_facts", "render"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "server-facts.md"

#: Areas in the order of the page, with their headings.
AREAS = {
    "auth": "Authentication",
    "http": "Requests",
    "limits": "Limits, and the order of checks",
    "event": "One event",
    "order": "Order",
    "batch": "Batches",
    "id": "Deduplication by message_id",
    "key": "Deduplication by idempotency_key",
    "fault": "Clients that go away",
    "memory": "The dedup memory",
    "stop": "Shutdown",
    "rate": "The rate limiter",
    "channel": "Subscriptions",
    "encrypted": "Encrypted channels",
    "cache": "Cache channels",
    "presence": "Presence",
    "query": "Queries",
    "user": "Users",
    "signin": "User sign-in",
    "client_event": "Client events",
    "socket": "Connections",
    "history": "History",
    "presence_history": "Presence history",
    "webhook": "Webhooks",
    "extras": "Extras",
    "tags": "Tags",
    "v2": "Protocol 2",
}

#: Longest value in a cell; the record has the whole.
MAX_CELL = 420

#: Of a feature that the embedded server has not.
DASH = "\u2013"

HEAD = f"""# Server facts

After this page you can look up how Sockudo {RECORDED_RELEASE} and the embedded server answer, and which promise of
this package rests on each fact. `make conformance` observes every fact on both servers and writes this page; the
explanations are in [server.md](server.md).

- *real {RECORDED_RELEASE}*: the observed value, also in `tests/conformance/facts-{RECORDED_RELEASE}.json`. `NAME` is a
  channel or an id of the test.
- *embedded*: "same", the value that differs, or a dash where the embedded server has no such feature. The reasons are
  under [Differences](#differences).

To see what another release changes, name its binary: `SOCKUDO_BIN=/path/to/sockudo make conformance`. It prints each
fact that changed, with both values, and leaves this page as it is.
`make conformance ARGS=--target=http://KEY:SECRET@HOST:PORT/apps/ID` observes a running server; facts that need a server
of their own are skipped there.
"""


def import_facts() -> dict[str, Fact]:
    """Every fact of this directory."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        importlib.import_module(f"tests.conformance.{path.stem}")
    return FACTS


def render(recorded: Mapping[str, Any], embedded: Mapping[str, Verdict]) -> str:
    """The page. `embedded` has the verdicts of a run on the embedded server."""
    facts = sorted(FACTS.values(), key=lambda one: list(AREAS).index(one.area))
    same = sum(1 for one in facts if one.id in embedded and embedded[one.id].state == "same")
    lines = [HEAD, f"{len(facts)} facts; the embedded server agrees in {same} of them.\n"]
    for area, group in groupby(facts, key=lambda one: one.area):
        lines.append(f"## {AREAS[area]}\n")
        lines.append(f"| fact | real {RECORDED_RELEASE} | embedded | what rests on it |\n|---|---|---|---|")
        lines += [_row(one, recorded, embedded.get(one.id)) for one in group]
        lines.append("")
    lines.append("## Differences\n")
    lines.append(_differences(facts, embedded))
    return "\n".join(lines).rstrip() + "\n"


def _row(fact: Fact, recorded: Mapping[str, Any], verdict: Verdict | None) -> str:
    sentence = f"`{fact.id}` {fact.sentence} ([details](server.md#{fact.source}))"
    real = _cell(shown(recorded[fact.id])) if fact.id in recorded else "not observed"
    return f"| {sentence} | {real} | {_embedded(verdict)} | {fact.promise.link} |"


def _embedded(verdict: Verdict | None) -> str:
    match verdict.state if verdict else "":
        case "same":
            return "same"
        case "differs" | "changed" if verdict and verdict.observed != "not there":
            return _cell("; ".join(line[2:] for line in verdict.diff if line.startswith("+")))
        case _:
            return DASH


def _cell(text: str) -> str:
    """As code, shortened, without what ends a cell."""
    text = re.sub(r"[\x00-\x1f\x7f\u2028]", lambda found: f"\\x{ord(found[0]):02x}", text)
    if len(text) > MAX_CELL:
        text = f"{text[:MAX_CELL].rstrip()} ..."
    fence = "``" if "`" in text else "`"
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", "\\|")


def _differences(facts: list[Fact], embedded: Mapping[str, Verdict]) -> str:
    """By reason."""
    by_reason: dict[str, list[str]] = {}
    for one in facts:
        verdict = embedded.get(one.id)
        if verdict is None or verdict.state == "same":
            continue
        by_reason.setdefault(verdict.reason or "without a reason", []).append(one.id)
    if not by_reason:
        return "None."
    rows = [f"| {reason} | {', '.join(f'`{one}`' for one in ids)} |" for reason, ids in by_reason.items()]
    return "\n".join(["| reason | facts |", "|---|---|", *rows])


def columns(text: str) -> dict[str, tuple[str, ...]]:
    """The cells of each row by the fact's id, as a page has them."""
    rows = [line.strip().strip("|") for line in text.splitlines() if line.startswith("| `")]
    cells = [re.split(r"(?<!\\)\|", row) for row in rows]
    return {row[0].split("`")[1]: tuple(cell.strip() for cell in row) for row in cells}
