"""A table of text, with marks for colours, in lines. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ..terminal import visible

__all__ = ["render_table"]

#: Between two columns.
_GAP = "  "


def render_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[int], total: bool = False
) -> str:
    """The lines of a table. Columns whose number is in ``left`` begin at the left, the others end at the right.

    ``total``: the last row is below a rule.
    """
    widths = [max(len(visible(row[at])) for row in (headings, *rows)) for at in range(len(headings))]
    rule = _GAP.join("─" * width for width in widths)
    lines = [_line([f"[bold]{heading}[/]" for heading in headings], widths, left), rule]
    lines += [_line(row, widths, left) for row in rows]
    if total:
        lines.insert(-1, rule)
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int], left: Sequence[int]) -> str:
    padded = []
    for at, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (width - len(visible(cell)))
        padded.append(cell + space if at in left else space + cell)
    return _GAP.join(padded).rstrip()
