"""Each alert's link leads to a page that names it, and the pages of docs/operate lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from sockudo_publisher.cli import _COMMANDS
from sockudo_publisher.deploy_files import ALERTS, read_file

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
OPERATE = ROOT / "docs" / "operate"
RUNBOOK = OPERATE / "runbook"
RULES = {rule["alert"]: rule for group in yaml.safe_load(read_file(ALERTS))["groups"] for rule in group["rules"]}
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("alert", RULES)
def test_link_of_an_alert_leads_to_its_page(alert: str) -> None:
    """In the repository's main branch; the page names the alert, and has the three questions of a night."""
    url = RULES[alert]["annotations"]["runbook_url"]
    path = ROOT / url.removeprefix("https://github.com/sockudo/sockudo-publisher/blob/main/")
    assert path.is_file(), url
    text = path.read_text()
    assert f"| `{alert}` |" in text
    headings = re.findall(r"^## (.+)$", text, re.M)
    assert headings == ["What it means", "Find the cause", "End it", "Afterwards"]


def test_every_page_of_the_runbook_is_an_alert_s() -> None:
    linked = {rule["annotations"]["runbook_url"].rpartition("/")[2] for rule in RULES.values()}
    assert {path.name for path in RUNBOOK.glob("*.md")} == linked
    index = (OPERATE / "index.md").read_text()
    assert {name for name in linked if f"(runbook/{name})" in index} == linked
    assert {alert for alert in RULES if f"`{alert.removeprefix('SockudoPublisher')}`" not in index} == set()


@pytest.mark.parametrize("page", sorted(OPERATE.rglob("*.md")), ids=lambda page: page.stem)
def test_links_of_operate_lead_to_files(page: Path) -> None:
    """To headings: test_citations."""
    targets = [one for one in LINK.findall(page.read_text()) if not one.startswith("http")]
    assert [one for one in targets if not (page.parent / one).exists()] == []


@pytest.mark.parametrize("page", sorted(OPERATE.rglob("*.md")), ids=lambda page: page.stem)
def test_commands_on_the_pages_exist(page: Path) -> None:
    named = re.findall(r"sockudo-publisher ([a-z][a-z-]+)", page.read_text())
    assert set(named) <= set(_COMMANDS) | {"worker", "dashboard"}


def test_waiting_times_of_the_table_are_the_rules() -> None:
    table = (OPERATE / "index.md").read_text().partition("## Ten failures")[2].partition("## Trouble")[0]
    rows = re.findall(r"^\| [^|]+\|[^|]+\| `(\w+)` \| (at once|\d+ min) \|", table, re.M)
    assert len(rows) == 10
    for alert, after in rows:
        assert RULES[f"SockudoPublisher{alert}"]["for"] == after.replace("at once", "0m").replace(" min", "m")
