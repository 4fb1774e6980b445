"""The Models page: adding, running, pausing, editing and archiving a model, and what it refuses."""

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from e2e.conftest import OpenPage
from e2e.steps import column, eventually, expect_live

pytestmark = pytest.mark.e2e

HOSTILE_NAME = "<img src=x onerror=alert(1)>"


@pytest.fixture
def models(open_page: OpenPage, app_address: str) -> Page:
    page = open_page(app_address)
    page.goto("/models")
    expect_live(page)
    return page


def open_form(page: Page) -> Locator:
    page.get_by_role("button", name="Add model").first.click()
    dialog = page.get_by_role("dialog", name="Add model")
    expect(dialog).to_be_visible()
    return dialog


def add_model(page: Page, name: str, **answers: str) -> Locator:
    """Fill in the form and send it; the model's row."""
    dialog = open_form(page)
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_test_id("field-trader").select_option("buy_and_hold")
    dialog.get_by_test_id("field-risk").select_option("off")
    for field, value in answers.items():
        dialog.get_by_test_id(f"field-{field}").fill(value)
    dialog.get_by_test_id("field-enabled").uncheck()
    dialog.get_by_role("button", name="Add model").click()
    expect(dialog).to_be_hidden()
    return row_of(page, name)


def row_of(page: Page, name: str) -> Locator:
    link = page.get_by_role("link", name=name, exact=True)
    return page.get_by_test_id("models-row").filter(has=link)


def press(row: Locator, label: str) -> None:
    row.get_by_role("button", name=re.compile(f"^{label}: ")).click()


def errors_of(dialog: Locator) -> dict[str, str]:
    """Every field's error that is shown, by the field's name."""
    shown = dialog.locator(".field-error").filter(visible=True, has_text=re.compile("."))
    return {
        str(node.get_attribute("data-testid")).removeprefix("error-"): node.inner_text()
        for node in shown.all()
    }


def test_an_empty_app_says_what_to_do(models: Page):
    models.goto("/")
    expect_live(models)
    said = models.get_by_test_id("empty-state").filter(visible=True)
    expect(said).to_contain_text("Add the first one")
    expect(models.get_by_test_id("metrics")).to_be_hidden()
    models.get_by_test_id("add-first-model").click()
    dialog = models.get_by_role("dialog", name="Add model")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    expect(models).to_have_url(re.compile("/models$"))
    expect(models.get_by_test_id("add-first-model")).to_be_visible()


def test_each_traders_parameters_come_from_its_schema(models: Page):
    dialog = open_form(models)
    traders: list[dict[str, Any]] = models.request.get("/api/traders").json()
    assert len(traders) >= 4
    for trader in traders:
        if trader["key"] == "ai":
            continue  # has a form of its own: test_llm_models
        dialog.get_by_test_id("field-trader").select_option(label=trader["name"])
        properties = trader["params_schema"]["properties"]
        controls = dialog.locator("[name^='params.']")
        expect(controls).to_have_count(len(properties))
        names = [str(control.get_attribute("name")) for control in controls.all()]
        assert names == [f"params.{name}" for name in properties]
        for name, schema in properties.items():
            control = dialog.get_by_test_id(f"field-params.{name}")
            if schema.get("type") == "boolean":
                expect(control).to_be_checked(checked=schema["default"])
            elif schema.get("type") in ("number", "integer"):
                expect(control).to_have_value(f"{schema['default']:g}")


def test_wrong_values_are_named_at_their_fields(models: Page, allowed_statuses: set[int]):
    allowed_statuses.add(400)
    dialog = open_form(models)
    dialog.get_by_test_id("field-trader").select_option("ma_cross")
    dialog.get_by_test_id("field-initial_capital").fill("-5")
    dialog.get_by_test_id("field-cycle_minutes").fill("1.5")
    dialog.get_by_test_id("field-params.weight").fill("2")
    dialog.get_by_test_id("coins-none").click()
    save = dialog.get_by_role("button", name="Add model")
    save.click()
    assert errors_of(dialog) == {
        "name": "This is needed.",
        "params.weight": "This must be at most 1.",
        "coins": "Choose at least one coin.",
        "initial_capital": "This must be more than 0.",
        "cycle_minutes": "This must be a whole number.",
    }
    expect(dialog.get_by_label("Name")).to_be_focused()

    dialog.get_by_label("Name").fill("Crossed")
    dialog.get_by_test_id("field-initial_capital").fill("5000")
    dialog.get_by_test_id("field-cycle_minutes").fill("15")
    dialog.get_by_test_id("field-params.weight").fill("1")
    dialog.get_by_test_id("coin-BTC").click()
    dialog.get_by_test_id("field-params.fast").fill("50")
    dialog.get_by_test_id("field-params.slow").fill("20")
    save.click()  # what the fields cannot tell alone, the server tells
    expect(dialog.get_by_test_id("error-params")).to_contain_text("fast")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    expect(row_of(models, "Crossed")).to_have_count(0)


def test_a_model_is_added_run_paused_edited_and_archived(models: Page, allowed_statuses: set[int]):
    row = add_model(models, "Patient", initial_capital="5000", cycle_minutes="15")
    expect(row).to_contain_text("$5,000.00")
    expect(row.get_by_test_id("model-state")).to_have_text("Paused")

    press(row, "Run now")
    expect(models.get_by_test_id("toast")).to_contain_text(
        "Patient ran one cycle. Decisions: 6, trades: 6."
    )
    eventually(models, lambda: column(models, "models", "Positions") == ["6"])
    press(row, "Resume")
    expect(row.get_by_test_id("model-state")).to_have_text("Active")
    press(row, "Pause")
    expect(row.get_by_test_id("model-state")).to_have_text("Paused")

    allowed_statuses.add(409)
    dialog = open_form(models)
    dialog.get_by_label("Name").fill("Patient")
    dialog.get_by_role("button", name="Add model").click()
    expect(dialog.get_by_test_id("error-name")).to_contain_text("Patient")
    expect(dialog.get_by_label("Name")).to_be_focused()
    dialog.get_by_role("button", name="Cancel").click()

    press(row, "Edit")
    dialog = models.get_by_role("dialog", name="Edit Patient")
    expect(dialog.get_by_test_id("field-initial_capital")).to_have_count(0)
    dialog.get_by_label("Name").fill("Patient too")
    dialog.get_by_test_id("field-params.weight").fill("0.5")
    dialog.get_by_role("button", name="Save changes").click()
    expect(dialog).to_be_hidden()
    row = row_of(models, "Patient too")
    row.get_by_role("link", name="Patient too").click()
    expect_live(models)
    expect(models.get_by_test_id("model-name")).to_have_text("Patient too")
    expect(models.get_by_test_id("model-settings")).to_contain_text(re.compile(r"Weight\s*0\.5"))
    expect(models.get_by_test_id("positions-row")).to_have_count(6)
    expect(models.get_by_test_id("trades-row")).to_have_count(6)
    expect(models.get_by_test_id("decisions-row")).to_have_count(6)

    models.get_by_role("button", name="Archive").click()
    question = models.get_by_role("dialog", name="Archive Patient too?")
    expect(question).to_contain_text("Positions open now: 6.")
    question.get_by_role("button", name="Cancel").click()
    expect(question).to_be_hidden()
    models.get_by_role("button", name="Archive").click()
    question.get_by_role("button", name="Archive").click()
    expect(models).to_have_url(re.compile("/models$"))
    expect(row_of(models, "Patient too")).to_have_count(0)
    expect(add_model(models, "Patient too")).to_be_visible()


def test_markup_in_a_name_is_text_everywhere(models: Page):
    row = add_model(models, HOSTILE_NAME)
    press(row, "Run now")
    expect(models.get_by_test_id("toast")).to_contain_text(f"{HOSTILE_NAME} ran one cycle.")
    press(row, "Archive")
    question = models.get_by_role("dialog", name=f"Archive {HOSTILE_NAME}?")
    question.get_by_role("button", name="Cancel").click()
    model_path = row.get_by_role("link", name=HOSTILE_NAME).get_attribute("href")
    model_id = str(model_path).rsplit("/", 1)[1]

    def shown_as_text(path: str) -> None:
        models.goto(path)
        expect_live(models)
        expect(models.get_by_text(HOSTILE_NAME).filter(visible=True).first).to_be_visible()
        expect(models.locator("img[src='x']")).to_have_count(0)

    shown_as_text("/")
    expect(models.get_by_test_id("model-picker")).to_contain_text(HOSTILE_NAME)
    expect(models.get_by_test_id("leaderboard")).to_contain_text(HOSTILE_NAME)
    expect(models.get_by_test_id("positions")).to_contain_text(HOSTILE_NAME)
    expect(models.get_by_test_id("trades")).to_contain_text(HOSTILE_NAME)
    shown_as_text("/models")
    shown_as_text(str(model_path))
    expect(models.get_by_test_id("model-name")).to_have_text(HOSTILE_NAME)
    shown_as_text(f"/charts?coin=BTC&interval=1m&models={model_id}")
    expect(models.get_by_test_id("chart-trades")).to_contain_text(HOSTILE_NAME)

    models.goto(f"/backtest?model={model_id}")
    expect_live(models)
    expect(models.get_by_label("Model", exact=True)).to_have_value(model_id)
    expect(models.get_by_label("Model", exact=True)).to_contain_text(HOSTILE_NAME)
    expect(models.locator("img[src='x']")).to_have_count(0)
