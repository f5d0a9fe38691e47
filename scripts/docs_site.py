"""MkDocs' hooks: links that leave docs/ go to the repository, and the foot of each page names the version."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

__all__ = ["on_config", "on_page_markdown", "outward_link", "version_line"]

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = "https://github.com/sockudo/sockudo-publisher"

FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.M | re.S)
LINK = re.compile(r"(?<=\]\()(?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?(?=\))")


def on_config(config: Any) -> Any:
    """Put the version into the foot."""
    config.copyright = version_line((ROOT / "CHANGELOG.md").read_text())
    return config


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Rewrite the links of one page, outside of its code. Raises ``ValueError`` for a link to no file."""

    def rewritten(text: str) -> str:
        return LINK.sub(lambda found: outward_link(page.file.src_uri, found), text)

    done, at = [], 0
    for fence in FENCE.finditer(markdown):
        done += [rewritten(markdown[at : fence.start()]), fence[0]]
        at = fence.end()
    return "".join([*done, rewritten(markdown[at:])])


def outward_link(page: str, found: re.Match[str]) -> str:
    """The link, or the repository's address of what it names. ``page`` is the page's path in docs/."""
    target, anchor = found["target"], found["anchor"] or ""
    if "://" in target or target.startswith("mailto:"):
        return found[0]
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), target))
    is_directory = (ROOT / path).is_dir()
    if path.startswith("docs/") and not is_directory:
        return found[0]  # MkDocs checks these
    if not (ROOT / path).exists():
        raise ValueError(f"docs/{page}: no such file: {target}")
    return f"{REPOSITORY}/{'tree' if is_directory else 'blob'}/main/{path}{anchor}"


def version_line(changelog: str) -> str:
    """What the newest heading of the changelog says: ``Version 0.1.0 (unreleased)``."""
    heading = re.search(r"^## (.+)$", changelog, re.M)
    if heading is None:
        raise ValueError("CHANGELOG.md has no version")
    return f"Version {heading[1]}"
