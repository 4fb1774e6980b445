"""The documents lead where they say, and describe the app as it is."""

import re
from pathlib import Path

import pytest
from flask import Flask
from test_backtest_report import SUMMARY_KEYS

from scripts.api_table import PAGE, route_table, with_table

DOCS = Path(__file__).parent.parent / "docs"
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_its_links_lead_somewhere(page: Path):
    links = LINK.findall(page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_table_of_routes_is_the_apps(offline_app: Flask):
    page = PAGE.read_text("utf-8")
    assert with_table(page, route_table(offline_app.api_doc)) == page, "python -m scripts.api_table"


def test_every_figure_of_a_backtest_is_defined():
    page = (DOCS / "metrics.md").read_text("utf-8")
    assert {key for key in SUMMARY_KEYS if f"`{key}`" not in page} == set()
