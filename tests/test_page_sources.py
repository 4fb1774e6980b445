"""The pages' sources keep to the strict content security policy, and to files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STATIC = ROOT / "static"
TEMPLATES = sorted((ROOT / "templates").glob("*.html"))
MODULES = sorted((STATIC / "js").glob("*.js"))
STYLES = sorted((STATIC / "css").glob("*.css"))


EXPORTED = "backtest_export.html"


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("template", TEMPLATES, ids=name)
def test_a_template_has_nothing_inline(template: Path):
    markup = template.read_text("utf-8")
    if template.name == EXPORTED:  # a file that opens alone carries its style, and no script
        assert "<script" not in markup
        markup = markup.replace("<style>", "", 1)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", markup)
    for script in re.findall(r"<script[^>]*>", markup):
        assert " src=" in script


@pytest.mark.parametrize("template", TEMPLATES, ids=name)
def test_a_template_names_files_that_exist(template: Path):
    named = re.findall(r"url_for\('static', filename='([^']+)'\)", template.read_text("utf-8"))
    assert [file for file in named if not (STATIC / file).is_file()] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=name)
def test_an_id_stands_once_in_a_template(template: Path):
    ids = re.findall(r'\bid="([a-z][\w-]*)"', template.read_text("utf-8"))
    assert sorted(ids) == sorted(set(ids))


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_a_module_writes_text_and_never_markup(module: Path):
    source = module.read_text("utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", source)
    assert not re.search(r"\b(alert|confirm|prompt)\(", source)


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_a_module_imports_modules_that_exist(module: Path):
    imported = re.findall(r"""from '(\.{1,2}/[^']+)'""", module.read_text("utf-8"))
    assert [path for path in imported if not (module.parent / path).is_file()] == []


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_no_module_is_left_over(module: Path):
    others = [path.read_text("utf-8") for path in (*MODULES, *TEMPLATES) if path != module]
    assert any(f"/{module.name}'" in source for source in others)


def test_colours_are_named_in_the_tokens_alone():
    # Swagger UI is light in either theme; an exported file has no other styles beside it.
    elsewhere = {"tokens.css", "api-docs.css", "backtest-export.css"}
    for style in STYLES:
        if style.name not in elsewhere:
            assert not re.search(r"#[0-9a-f]{3,8}\b|rgba?\(|hsla?\(", style.read_text("utf-8")), (
                style
            )


def test_every_token_that_is_used_exists():
    defined = set(re.findall(r"(--[\w-]+):", (STATIC / "css" / "tokens.css").read_text("utf-8")))
    for style in STYLES:
        text = style.read_text("utf-8")
        local = set(re.findall(r"(--[\w-]+):", text))
        # A variable with a fallback, or one that a module sets on an element, need not be a token.
        used = set(re.findall(r"var\((--[\w-]+)\)", text)) - {"--series-color"}
        assert used - defined - local == set(), style.name
