"""README.md works where it is shown: on the package index there is no repository beside it."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.unit

LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


@pytest.fixture(scope="module")
def readme(root):
    return (root / "README.md").read_text()


@pytest.fixture(scope="module")
def source(project):
    """The repository's address."""
    return project["project"]["urls"]["Source"]


def test_readme_has_no_relative_link(readme):
    """Neither to a page nor to a picture."""
    targets = LINK.findall(readme)
    assert len(targets) > 15
    assert [target for target in targets if not target.startswith("https://")] == []


def test_links_into_the_repository_arrive(readme, source, root):
    """Each names a file of the main branch, and a heading of it if it has an anchor."""
    places = re.compile(rf"{re.escape(source)}/(?:blob|tree|raw)/main/([^#]*)(?:#(.+))?")
    raw = source.replace("github.com", "raw.githubusercontent.com") + "/main/"
    own = [target for target in LINK.findall(readme) if target.startswith((f"{source}/", raw))]
    assert len(own) > 15
    for target in own:
        match = places.fullmatch(target)
        path = root / (match[1] if match else target.removeprefix(raw))
        assert path.exists(), target
        if match and match[2]:
            headings = re.findall(r"^#+ (.+?)\s*$", path.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert match[2] in anchors, target


def test_pictures_are_served_raw(readme):
    """A page of the repository around a picture is no picture."""
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", readme)
    assert len(pictures) >= 2
    assert [one for one in pictures if not one.startswith("https://raw.githubusercontent.com/")] == []


def test_readme_is_short(readme):
    """A reader sees the install command and the five lines first."""
    assert len(readme.splitlines()) < 150
    head = readme.partition("## Five lines")
    assert "pip install sockudo-publisher" in head[0]
    assert head[0].count("\n") < 15
    assert "make test" in readme


def test_metadata_is_complete(project):
    """What the package index shows beside the README."""
    metadata = project["project"]
    assert set(metadata["urls"]) == {"Homepage", "Documentation", "Source", "Issues", "Changelog"}
    assert all(url.startswith(metadata["urls"]["Source"]) for url in metadata["urls"].values())
    assert metadata["authors"]
    assert metadata["license"] == "MIT"
    assert len(metadata["keywords"]) >= 5
    assert "Programming Language :: Python :: 3 :: Only" in metadata["classifiers"]
