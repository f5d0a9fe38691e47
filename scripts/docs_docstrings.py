"""For the site's API reference: docstrings as Markdown. Roles become code, and a code block loses its directive."""

from __future__ import annotations

import re
from typing import Any

import griffe

__all__ = ["AsMarkdown", "as_markdown"]

ROLE = re.compile(r":(?:class|func|meth|mod|attr|exc|data):`[~.]?([^`]+)`")
DIRECTIVE = re.compile(r"^\s*\.\. code-block::.*\n", re.M)


def as_markdown(docstring: str) -> str:
    """The same text; double backquotes are Markdown's as well."""
    return DIRECTIVE.sub("", ROLE.sub(r"`\1`", docstring))


class AsMarkdown(griffe.Extension):
    """Change each docstring when it is read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
