"""Draw the rooms of the package from the import contracts in pyproject.toml: docs/images/architecture.svg.

    python -m scripts.architecture_picture [--check]

A row for each line of the contract ``rooms``, from the top. The contract ``publishers`` gives the colours. The text in
a box is the first sentence of the room's docstring. ``--check`` writes nothing and exits 1 where the file differs.
"""

from __future__ import annotations

import argparse
import ast
import sys
import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]

__all__ = ["contracts", "draw", "rooms"]

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "sockudo_publisher"
PICTURE = ROOT / "docs" / "images" / "architecture.svg"

#: Sizes in pixels: the picture, a line of text, one character, the space between boxes and inside them.
WIDTH, LINE, CHARACTER, GAP, PADDING, MARGIN = 820, 16, 6.4, 12, 10, 14
#: Room on the left for the arrow.
LEFT = 40

_STYLE = (
    "text{font:12px Verdana,Helvetica,sans-serif;fill:#1f2937}.name{font-weight:bold;font-size:13px}"
    ".what{font-size:11px}rect{fill:#f3f4f6;stroke:#6b7280;stroke-width:1.2}"
    ".publishes{fill:#e0f2fe;stroke:#0369a1}.delivers{fill:#ffedd5;stroke:#c2410c}"
    ".paper{fill:#ffffff;stroke:none}path{fill:none;stroke:#4b5563;stroke-width:1.5}"
)


def contracts() -> dict[str, Mapping[str, Any]]:
    """The import contracts by id."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return {one["id"]: one for one in settings["tool"]["importlinter"]["contracts"]}


def rooms() -> list[list[str]]:
    """The rooms by line, from the top."""
    return [[name.strip() for name in line.split("|")] for line in contracts()["rooms"]["layers"]]


def purpose(room: str) -> str:
    """The first sentence of a room's docstring."""
    path = PACKAGE / room / "__init__.py"
    source = (path if path.is_file() else PACKAGE / f"{room}.py").read_text()
    first = (ast.get_docstring(ast.parse(source)) or "").partition("\n\n")[0].replace("``", "")
    return " ".join(first.split()).partition(". ")[0].rstrip(".")


def draw() -> str:
    """The picture, as SVG."""
    publishers = contracts()["publishers"]
    kinds = {name.rpartition(".")[2]: "publishes" for name in publishers["source_modules"]}
    kinds |= {name.rpartition(".")[2]: "delivers" for name in publishers["forbidden_modules"]}
    parts: list[str] = []
    top = MARGIN
    for line in rooms():
        width = (WIDTH - LEFT - MARGIN - GAP * (len(line) - 1)) / len(line)
        texts = [textwrap.wrap(purpose(room), int((width - 2 * PADDING) / CHARACTER)) for room in line]
        height = 2 * PADDING + LINE * (1 + max(map(len, texts)))
        for column, (room, text) in enumerate(zip(line, texts, strict=True)):
            left = LEFT + column * (width + GAP)
            parts += _box(room, text, kinds.get(room, ""), (left, top, width, height))
        top += height + GAP
    arrow_end = top - GAP
    legend = top + LINE
    parts += [
        f'<path d="M{LEFT / 2:.0f},{MARGIN} V{arrow_end - 2}" marker-end="url(#end)"/>',
        f'<text class="what" transform="translate({LEFT / 2 - 6:.0f},{(MARGIN + arrow_end) / 2:.0f}) rotate(-90)" '
        'text-anchor="middle">may import</text>',
        *_legend(legend),
    ]
    height = legend + MARGIN
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'role="img">',
        "<title>The rooms of the package: each may import those below it</title>",
        f"<style>{_STYLE}</style>",
        '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" style="fill:#4b5563;stroke:none"/></marker></defs>',
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
    ]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"


def _box(room: str, text: Sequence[str], kind: str, place: tuple[float, float, float, float]) -> list[str]:
    left, top, width, height = place
    style = f' class="{kind}"' if kind else ""
    lines = [
        f'<rect{style} x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="{height:.0f}" rx="6"/>',
        f'<text class="name" x="{left + PADDING:.0f}" y="{top + PADDING + 12:.0f}">{escape(room)}</text>',
    ]
    for number, one in enumerate(text, 1):
        y = top + PADDING + 12 + number * LINE
        lines.append(f'<text class="what" x="{left + PADDING:.0f}" y="{y:.0f}">{escape(one)}</text>')
    return lines


def _legend(y: float) -> list[str]:
    shown = (("publishes", "loaded by publishers, which load nothing that delivers"), ("delivers", "delivers"))
    lines: list[str] = []
    left = float(LEFT)
    for kind, text in shown:
        lines.append(f'<rect class="{kind}" x="{left:.0f}" y="{y - 10:.0f}" width="14" height="12" rx="2"/>')
        lines.append(f'<text class="what" x="{left + 20:.0f}" y="{y:.0f}">{text}</text>')
        left += 40 + len(text) * CHARACTER + 20
    return lines


def main(arguments: Sequence[str]) -> int:
    """Write the picture, or compare it."""
    parser = argparse.ArgumentParser(prog="python -m scripts.architecture_picture")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the file differs")
    is_check = parser.parse_args(arguments).check
    made = draw()
    if is_check:
        return int(not PICTURE.is_file() or PICTURE.read_text() != made)
    PICTURE.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
