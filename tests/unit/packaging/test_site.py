"""mkdocs.yml and its hooks: every page has a place, no request leaves the site, and links out of docs/ arrive."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

import sockudo_publisher
from scripts.docs_site import on_page_markdown, version_line

pytestmark = pytest.mark.unit

REPOSITORY = "https://github.com/sockudo/sockudo-publisher"


def rewritten(markdown: str, page: str = "start/django.md") -> str:
    return on_page_markdown(markdown, page=SimpleNamespace(file=SimpleNamespace(src_uri=page)))


def test_links_out_of_the_pages_go_to_the_repository() -> None:
    """With their anchor; links between pages, to the web and in code stay."""
    assert rewritten("[a](../../SECURITY.md#x)") == f"[a]({REPOSITORY}/blob/main/SECURITY.md#x)"
    assert rewritten("[a](../examples/)", "index.md") == f"[a]({REPOSITORY}/tree/main/examples)"
    assert rewritten("[a](decisions/)", "architecture.md") == f"[a]({REPOSITORY}/tree/main/docs/decisions)"
    for same in (
        "[a](../django.md#x)",
        "[a](#x)",
        "[a](https://example.org/x)",
        "```md\n[a](../../SECURITY.md)\n```\n",
    ):
        assert rewritten(same) == same


def test_link_to_no_file_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"docs/start/django\.md: no such file: \.\./\.\./NOTHING\.md"):
        rewritten("[a](../../NOTHING.md)")


def test_foot_names_the_newest_version(root) -> None:
    assert version_line("# Changes\n\n## 0.2.0 (unreleased)\n\n## 0.1.0\n") == "Version 0.2.0 (unreleased)"
    assert sockudo_publisher.__version__ in version_line((root / "CHANGELOG.md").read_text())


def test_every_page_has_a_place(root) -> None:
    """The build fails as well; this is quicker."""
    listed = re.findall(r"^ *- (?:[\w -]+: )?([\w/.-]+\.md)$", (root / "mkdocs.yml").read_text(), re.M)
    pages = {str(page.relative_to(root / "docs")) for page in (root / "docs").rglob("*.md")}
    assert sorted(listed) == sorted(pages)


def test_site_asks_no_other_site(root) -> None:
    """No fonts and scripts from elsewhere, and no question for the repository's stars."""
    text = (root / "mkdocs.yml").read_text()
    assert re.search(r"^  font: false$", text, re.M)
    assert "extra_javascript" not in text
    assert "extra_css" not in text
    assert not re.search(r"^repo_url:", text, re.M)


def test_reference_has_each_public_name(root) -> None:
    """Errors by their module; the server's answers are described where the client returns them."""
    named = set(re.findall(r"^::: sockudo_publisher\.(\w+)$", (root / "docs" / "reference.md").read_text(), re.M))
    errors = set(dir(sockudo_publisher.errors))
    public = {name for name in sockudo_publisher.__all__ if not name.startswith("__")} - errors
    answers = {name for name in public if getattr(sockudo_publisher, name).__module__.endswith("client.api.answers")}
    assert public - answers - {"ChannelAuth", "UserAuth"} <= named
    assert {"errors", "operations"} <= named
