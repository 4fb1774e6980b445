"""What axe-core finds wrong with a page, of those things that keep people from using it."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = Path(__file__).parent.parent / "vendor" / "axe-core" / "axe.min.js"
#: All that WCAG 2.2 AA asks for, with the rule that axe-core leaves off by itself.
EVERYTHING = {"rules": {"target-size": {"enabled": True}}}
#: What a theme can get wrong.
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
WHAT_A_LANGUAGE_CHANGES = {"rules": {"color-contrast": {"enabled": False}}}
RUN = """async (options) => {
  const { violations } = await axe.run({ ...options, resultTypes: ['violations'] });
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(({ html, any }) => `${id}: ${html} ${any[0]?.message ?? ''}`));
}"""


def findings(page: Page, options: dict[str, Any]) -> list[str]:
    """Serious and critical findings, each with the element that it is about."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(f"{AXE.read_text('utf-8')};0")  # nothing of it is to be sent back
    found: list[str] = page.evaluate(RUN, options)
    return found
