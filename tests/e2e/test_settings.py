"""The settings page, on an app of its own."""

import re
import sqlite3
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import OpenPage
from e2e.steps import expect_live

pytestmark = pytest.mark.e2e

PASSWORD = "a long enough password"
UP_COLOUR = "getComputedStyle(document.querySelector('.settings-example .up')).color"


@pytest.fixture
def settings(open_page: OpenPage, app_address: str) -> Page:
    page = open_page(app_address)
    page.goto("/settings")
    expect_live(page)
    return page


def test_settings_are_bounded_saved_and_kept(settings: Page, allowed_statuses: set[int]):
    fee = settings.get_by_test_id("field-trading_fee_rate")
    save = settings.get_by_test_id("general-save")
    expect(save).to_be_disabled()
    fee.fill("0.2")
    save.click()
    expect(settings.get_by_test_id("error-trading_fee_rate")).to_have_text(
        "This must be at most 0.1."
    )
    expect(fee).to_be_focused()
    fee.fill("0.0005")
    expect(settings.get_by_test_id("meaning-trading_fee_rate")).to_have_text(
        "0.05%: $0.50 of every $1,000.00"
    )
    save.click()
    expect(settings.get_by_test_id("toast")).to_have_text(re.compile("saved"))
    expect(save).to_be_disabled()

    green = settings.evaluate(UP_COLOUR)
    settings.get_by_test_id("page-updown-red-up").click()
    expect(settings.get_by_test_id("page-updown-red-up")).to_have_attribute("aria-pressed", "true")
    expect(settings.get_by_test_id("updown-red-up")).to_have_attribute("aria-pressed", "true")
    assert settings.evaluate(UP_COLOUR) != green
    expect(settings.get_by_test_id("trading-state")).to_contain_text("On paper")
    settings.get_by_test_id("halt").click()
    settings.get_by_test_id("confirm-accept").click()
    expect(settings.get_by_test_id("kill-switch-state")).to_contain_text("On:")
    settings.get_by_test_id("language-zh").click()
    expect(settings.locator("h1")).to_have_text("设置")
    expect(fee).to_have_value("0.0005")
    red = settings.evaluate(UP_COLOUR)
    assert red != green  # from the first paint on
    settings.get_by_test_id("halt").click()
    settings.get_by_test_id("confirm-accept").click()
    expect(settings.get_by_test_id("kill-switch-state")).to_contain_text("关闭")


def test_a_backup_notifications_a_token_and_a_password(
    settings: Page, open_page: OpenPage, app_address: str, allowed_statuses: set[int]
):
    allowed_statuses.add(400)
    settings.get_by_test_id("new-backup").click()
    settings.get_by_test_id("backup-save").click()
    expect(settings.get_by_test_id("toast")).to_have_text(re.compile("A backup has been made"))
    with settings.expect_download() as download:
        settings.get_by_test_id("download-backup").first.click()
    copy = sqlite3.connect(Path(download.value.path()))
    assert copy.execute("SELECT COUNT(*) FROM coins").fetchone()[0] > 100
    copy.close()

    settings.get_by_test_id("field-address").fill("no address")
    settings.get_by_test_id("notifications-save").click()
    expect(settings.get_by_test_id("error-address")).not_to_be_empty()
    settings.get_by_test_id("field-address").fill("https://hooks.example.com/T0/secret-part")
    settings.get_by_test_id("event-source_down").uncheck()
    settings.get_by_test_id("notifications-save").click()
    expect(settings.get_by_test_id("notifications-state")).to_contain_text("hooks.example.com")
    expect(settings.get_by_test_id("event-source_down")).not_to_be_checked()
    assert "secret-part" not in settings.content()

    settings.get_by_test_id("new-token").click()
    settings.get_by_test_id("field-name").fill("My script")
    settings.get_by_test_id("token-save").click()
    token = settings.get_by_test_id("token-text").input_value()
    settings.get_by_test_id("token-done").click()
    row = settings.get_by_test_id("tokens-row").filter(has_text="My script")
    expect(row).to_contain_text(token[:10])
    assert token not in settings.content()

    settings.get_by_test_id("field-password").fill(PASSWORD)
    settings.get_by_test_id("field-again").fill("another password")
    settings.get_by_test_id("password-save").click()
    expect(settings.get_by_test_id("error-again")).to_contain_text("not the same")
    settings.get_by_test_id("field-again").fill(PASSWORD)
    settings.get_by_test_id("password-save").click()
    expect(settings.get_by_test_id("password-state")).to_contain_text("A password is set")

    allowed_statuses.update({401, 403})
    script = open_page(app_address).request  # a browser that is not signed in, and its token
    asked = {"Authorization": f"Bearer {token}"}
    assert script.get("/api/models").status == 401
    assert script.get("/api/models", headers=asked).status == 200
    row.get_by_test_id("revoke-token").click()
    settings.get_by_test_id("confirm-accept").click()
    expect(row).to_have_count(0)
    assert script.get("/api/models", headers=asked).status == 401
