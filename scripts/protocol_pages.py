"""Make the diagrams and tables of docs/protocol.md from the protocol's tables in the code.

    python -m scripts.protocol_pages [--check]

Writes ``docs/images/protocol-NAME.svg`` for each machine, and the table between ``<!-- steps: NAME -->`` and
``<!-- end -->`` in docs/protocol.md. ``--check`` writes nothing and exits 1 where a file differs.

A diagram has its states in a column. Steps to a lower state run along the right side, steps to a higher one along the
left; steps that stay are listed in the state's box. Each step has a row of its own, so no two labels meet.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from sockudo_publisher.delivery import protocol as delivery
from sockudo_publisher.journal import protocol as journal
from sockudo_publisher.journal.protocol import Machine, Step
from sockudo_publisher.journal.redis.scripts import Answer

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "protocol.md"
IMAGES = ROOT / "docs" / "images"
MACHINES = (*journal.MACHINES, *delivery.MACHINES)

#: Sizes in pixels: a line of text, one character of a label, the space between boxes and between vertical lines.
LINE, CHARACTER, GAP, TRACK = 16, 6.7, 26, 14
#: Space around the text of a box, and around the picture.
PADDING, MARGIN = 10, 12

_STYLE = (
    "text{font:12px Verdana,Helvetica,sans-serif;fill:#1f2937}.name{font-weight:bold;font-size:13px}"
    ".keys{fill:#4b5563;font-size:11px}.stay,.label{font-size:11px}"
    "rect{fill:#eef2ff;stroke:#4f46e5;stroke-width:1.2}path{fill:none;stroke:#4b5563;stroke-width:1.2}"
    ".paper{fill:#ffffff;stroke:none}"
)


@dataclass
class Arrow:
    """All steps from one state to another, as one line with a label."""

    before: int
    after: int
    labels: list[str] = field(default_factory=list)
    leaves_at: float = 0.0
    arrives_at: float = 0.0
    track: int = 0

    @property
    def span(self) -> tuple[int, int]:
        """The first and the last of the boxes that the line passes."""
        return min(self.before, self.after), max(self.before, self.after)


@dataclass
class Box:
    """A state with the steps that stay in it."""

    name: str
    keys: str
    stays: list[str]
    top: float = 0.0
    height: float = 0.0

    @property
    def lines(self) -> int:
        """Lines of text in the box."""
        return 2 + len(self.stays)


def label_of(step: Step) -> str:
    """``settle (a part)``, with the answer where it says more than that it is done."""
    if step.answer is None or step.answer is Answer.DONE or isinstance(step.answer, str):
        return step.operation
    return f"{step.operation} \u2192 {step.answer.name}"


def draw(machine: Machine) -> str:
    """The diagram of one machine as an SVG file."""
    order = {state.name: number for number, state in enumerate(machine.states)}
    boxes = [Box(state.name, state.keys, []) for state in machine.states]
    arrows: dict[tuple[int, int], Arrow] = {}
    for step in machine.steps:
        before, after = order[step.before], order[step.after]
        if before == after:
            boxes[before].stays.append(label_of(step))
        else:
            arrows.setdefault((before, after), Arrow(before, after)).labels.append(label_of(step))
    sides = {
        side: sorted((one for one in arrows.values() if (one.after > one.before) is (side == "right")), key=_length)
        for side in ("left", "right")
    }
    height = _place(boxes, sides)
    width = max(CHARACTER * 1.1 * max(len(text) for text in (box.name, box.keys, *box.stays)) for box in boxes)
    width += 2 * PADDING
    rooms = {side: _room(found) for side, found in sides.items()}
    left = MARGIN + rooms["left"]
    total = left + width + rooms["right"] + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {total:.0f} {height:.0f}" role="img">',
        f"<title>{escape(machine.title)}</title>",
        f"<style>{_STYLE}</style>",
        '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" style="fill:#4b5563;stroke:none"/></marker></defs>',
        f'<rect class="paper" width="{total:.0f}" height="{height:.0f}"/>',
    ]
    for box in boxes:
        parts += _draw_box(box, left, width)
    for side, found in sides.items():
        for arrow in found:
            parts += _draw_arrow(arrow, side, left, width, _label_width(found))
    return "\n".join([*parts, "</svg>", ""])


def _length(arrow: Arrow) -> tuple[int, int]:
    return arrow.after - arrow.before if arrow.after > arrow.before else arrow.before - arrow.after, arrow.before


def _place(boxes: Sequence[Box], sides: Mapping[str, Sequence[Arrow]]) -> float:
    """Give each box its place and each arrow its rows; the height of the picture."""
    at = float(MARGIN)
    for number, box in enumerate(boxes):
        box.top = at
        used = [float(box.lines * LINE + PADDING)]
        for found in sides.values():
            row = at + LINE
            for arrow in sorted((one for one in found if one.after == number), key=_length):
                arrow.arrives_at = row
                row += LINE
            for arrow in sorted((one for one in found if one.before == number), key=_length, reverse=True):
                row += LINE * len(arrow.labels)
                arrow.leaves_at = row
                row += LINE / 2
            used.append(row - at)
        box.height = max(used) + PADDING / 2
        at += box.height + GAP
    for found in sides.values():
        taken: list[list[tuple[int, int]]] = []
        for arrow in found:
            first, last = arrow.span
            free = next(
                (n for n, spans in enumerate(taken) if all(last < one[0] or first > one[1] for one in spans)), None
            )
            if free is None:
                free = len(taken)
                taken.append([])
            taken[free].append(arrow.span)
            arrow.track = free
    return at - GAP + MARGIN


def _label_width(arrows: Iterable[Arrow]) -> float:
    return max((CHARACTER * len(label) for arrow in arrows for label in arrow.labels), default=0.0)


def _room(arrows: Sequence[Arrow]) -> float:
    """The width of a side: its labels, then one vertical line beside the other."""
    return _label_width(arrows) + 24 + TRACK * (1 + max(arrow.track for arrow in arrows)) if arrows else 0.0


def _draw_box(box: Box, left: float, width: float) -> list[str]:
    lines = [("name", box.name), ("keys", box.keys), *(("stay", f"\u21ba {text}") for text in box.stays)]
    return [
        f'<rect x="{left:.0f}" y="{box.top:.0f}" width="{width:.0f}" height="{box.height:.0f}" rx="6"/>',
        *(
            f'<text class="{kind}" x="{left + PADDING:.0f}" y="{box.top + (n + 1) * LINE:.0f}">{escape(text)}</text>'
            for n, (kind, text) in enumerate(lines)
        ),
    ]


def _draw_arrow(arrow: Arrow, side: str, left: float, width: float, labels: float) -> list[str]:
    sign = 1 if side == "right" else -1
    edge = left + width if side == "right" else left
    track = edge + sign * (labels + 16 + TRACK * arrow.track)
    anchor = "start" if side == "right" else "end"
    first = arrow.leaves_at - 4 - LINE * (len(arrow.labels) - 1)
    return [
        f'<path d="M{edge:.0f},{arrow.leaves_at:.0f} H{track:.0f} V{arrow.arrives_at:.0f} H{edge + sign * 2:.0f}" '
        'marker-end="url(#end)"/>',
        *(
            f'<text class="label" x="{edge + sign * 6:.0f}" y="{first + n * LINE:.0f}" '
            f'text-anchor="{anchor}">{escape(text)}</text>'
            for n, text in enumerate(arrow.labels)
        ),
    ]


def table(machine: Machine) -> str:
    """The steps of one machine, and what is refused, as Markdown."""
    lines = ["| state | operation | answer | next state |", "|---|---|---|---|"]
    for state in machine.states:
        lines += [
            f"| {step.before} | {step.operation} | {_answer(step.answer)} | {step.after} |"
            for step in machine.steps
            if step.before == state.name
        ]
    refused: dict[str, list[str]] = {}
    for _, operation in machine.illegal():
        names = refused.setdefault(_answer(machine.refused[operation]), [])
        if operation not in names:
            names.append(operation)
    for answer, operations in refused.items():
        lines.append(f"| any other | {', '.join(operations)} | {answer} | unchanged |")
    return "\n".join(lines) + "\n"


def _answer(answer: Answer | str | None) -> str:
    if answer is None:
        return "\u2013"
    return f"`{answer.name}`" if isinstance(answer, Answer) else answer


def page(text: str) -> str:
    """docs/protocol.md with its tables as they are now."""
    for machine in MACHINES:
        text, count = re.subn(
            rf"(<!-- steps: {machine.name} -->\n).*?(<!-- end -->)",
            lambda match, machine=machine: f"{match[1]}\n{table(machine)}\n{match[2]}",  # type: ignore[misc]
            text,
            flags=re.DOTALL,
        )
        if count != 1:
            raise SystemExit(f"{PAGE.name}: {count} places for the steps of {machine.name}, expected 1")
    return text


def made() -> dict[Path, str]:
    """Every file with the text that it has to have."""
    files = {IMAGES / f"protocol-{machine.name}.svg": draw(machine) for machine in MACHINES}
    return {**files, PAGE: page(PAGE.read_text(encoding="utf-8"))}


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file differs")
    options = parser.parse_args(argv)
    old = [path for path, text in made().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in old:
        print(path.relative_to(ROOT))
        if not options.check:
            path.write_text(made()[path], encoding="utf-8")
    return 1 if options.check and old else 0


if __name__ == "__main__":
    sys.exit(main())
