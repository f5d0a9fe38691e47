"""The pages of docs/operate/runbook as tests follow them: the commands of a section, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["commands_of"]

RUNBOOK = Path(__file__).resolve().parents[2] / "docs" / "operate" / "runbook"


def commands_of(page: str, section: str = "End it", language: str = "sh") -> list[str]:
    """The lines of the section's blocks: `sh` is run as it is, `text` has a name in capitals to fill in."""
    text = (RUNBOOK / f"{page}.md").read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    assert lines, f"{page}.md, {section}: no command"
    return lines
