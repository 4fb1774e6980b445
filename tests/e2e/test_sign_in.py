"""A password, a browser that signs in with it, writes, and signs out; and what it is led to."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from e2e.axe import EVERYTHING, findings
from e2e.conftest import OpenPage
from e2e.steps import expect_live
from scripts.running_app import ROOT, RunningServer, running

pytestmark = pytest.mark.e2e

PASSWORD = "correct horse battery"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The app with a password, without any source."""
    environment = {
        "DATABASE_PATH": str(tmp_path_factory.mktemp("owned") / "trading.db"),
        **dict.fromkeys(("BINANCE_API_URL", "OKX_API_URL", "COINGECKO_API_URL"), NOWHERE),
        "STREAMS": "off",
        "TRADING_LOOP": "off",
        "PORT": "0",
    }
    flask = ["-m", "flask", "--app", "app"]
    subprocess.run(
        [sys.executable, *flask, "user", "set-password", "--password-stdin"],
        cwd=ROOT, env=os.environ | environment, input=f"{PASSWORD}\n", text=True, check=True,
    )  # fmt: skip
    with running([*flask, "serve"], environment) as server:
        yield server


def test_the_owner_signs_in_works_and_signs_out(
    open_page: OpenPage, owned: RunningServer, allowed_statuses: set[int]
):
    page = open_page(owned.address)
    page.goto("/models?sort=name")
    expect(page).to_have_url(f"{owned.address}/login?next=/models?sort%3Dname")
    expect(page.get_by_label("Password")).to_be_focused()
    expect(page.get_by_role("navigation")).to_have_count(0)
    in_chinese_and_back(page)

    allowed_statuses.add(403)
    page.get_by_label("Password").fill("wrong password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("The password is wrong.")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        assert findings(page, EVERYTHING) == [], theme
    allowed_statuses.remove(403)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{owned.address}/models?sort=name")
    expect_live(page)

    page.get_by_test_id("kill-switch").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop all trading").click()
    expect(page.get_by_test_id("status-halt")).to_be_visible()

    # Another tab has changed the session: this page's proof is old, and it fetches another.
    allowed_statuses.add(403)
    forget_the_proof(page)
    page.get_by_test_id("kill-switch").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume all trading").click()
    expect(page.get_by_test_id("status-halt")).to_be_hidden()

    page.get_by_test_id("sign-out").click()
    expect(page).to_have_url(f"{owned.address}/login?next=/")


def test_a_page_whose_session_has_ended_leads_to_the_sign_in_and_back(
    open_page: OpenPage, owned: RunningServer, allowed_statuses: set[int]
):
    page = open_page(owned.address)
    page.goto("/login?next=/models")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_test_id("sign-in").click()
    expect_live(page)
    allowed_statuses.add(401)
    page.context.clear_cookies()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # who comes back to it
    expect(page).to_have_url(f"{owned.address}/login?next=%2Fmodels")


def test_who_comes_by_a_link_from_elsewhere_need_not_sign_in_again(
    open_page: OpenPage, owned: RunningServer, tmp_path: Path
):
    page = open_page(owned.address)
    page.goto("/login")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_test_id("sign-in").click()
    expect_live(page)
    elsewhere = owned.address.replace("127.0.0.1", "localhost")  # another site to the browser
    page.route(f"{elsewhere}/blog", lambda route: route.fulfill(
        content_type="text/html", body=f'<a href="{owned.address}/models">models</a>'
    ))  # fmt: skip
    page.goto(f"{elsewhere}/blog")
    page.get_by_role("link").click()
    expect(page).to_have_url(f"{owned.address}/models")
    expect_live(page)


def in_chinese_and_back(page: Page) -> None:
    page.get_by_test_id("language-switch").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("登录")
    page.get_by_test_id("language-switch").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def forget_the_proof(page: Page) -> None:
    """Once, a write is sent with another proof than the session's."""

    def spoil(route: Route) -> None:
        route.continue_(headers={**route.request.headers, "x-csrf-token": "old"})

    page.route("**/api/trading/*", spoil, times=1)
