"""Pages that everyone can use: WCAG 2.2 AA in both themes, the keyboard, nothing that jumps."""

import pytest
from playwright.sync_api import Page, expect

from e2e.axe import COLOURS, EVERYTHING, findings
from e2e.conftest import Demo, OpenPage
from e2e.steps import expect_live

pytestmark = pytest.mark.e2e

MOVES = "getComputedStyle(document.querySelector('.skeleton')).animationName"


@pytest.mark.timeout(360)  # every page twice: on a slow machine minutes
def test_no_page_keeps_anyone_out_in_either_theme(
    open_page: OpenPage, demo: Demo, every_path: list[str]
):
    page = open_page(demo.address, color_scheme="light")
    for path in every_path:
        page.goto(path)
        expect_live(page)
        assert findings(page, EVERYTHING) == [], path
        page.emulate_media(color_scheme="dark")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        assert findings(page, COLOURS) == [], f"{path} in the dark"
        page.emulate_media(color_scheme="light")


def test_other_pages_keep_nobody_out_either(page: Page, allowed_statuses: set[int]):
    allowed_statuses.add(404)
    page.goto("/nowhere")
    expect(page.get_by_test_id("error-page")).to_be_visible()
    assert findings(page, EVERYTHING) == []
    page.goto("/api/docs")
    expect(page.locator("#api-docs .opblock").first).to_be_visible()
    assert findings(page, EVERYTHING) == []


def test_a_dialog_takes_the_focus_and_gives_it_back(page: Page):
    page.goto("/coins")
    expect_live(page)
    for test_id in ("add-coin", "discover"):
        opener = page.get_by_test_id(test_id)
        opener.focus()
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        assert dialog.evaluate("dialog => dialog.contains(document.activeElement)")
        assert findings(page, EVERYTHING) == [], test_id
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(opener).to_be_focused()


def test_nothing_moves_for_those_who_want_it_still(open_page: OpenPage, demo: Demo):
    page = open_page(demo.address, reduced_motion="reduce")
    page.route("**/api/models*", lambda route: None)  # its answer never comes
    page.goto("/models", wait_until="domcontentloaded")
    expect(page.locator(".skeleton").first).to_be_visible()
    assert page.evaluate(MOVES) == "none"
