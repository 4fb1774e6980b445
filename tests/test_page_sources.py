"""The pages' sources keep to the strict content security policy, and to files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STATIC = ROOT / "static"
TEMPLATES = sorted((ROOT / "templates").glob("*.html"))
MODULES = sorted((STATIC / "js").glob("*.js"))
STYLES = sorted((STATIC / "css").rglob("*.css"))

EXPORTED = "backtest_export.html"


def name(path: Path) -> str:
    return path.name


def started_by(markup: str) -> list[str]:
    """The modules that a template starts."""
    return re.findall(r"set page_module = '([^']+)'", markup) + re.findall(r"\['(shell)'\]", markup)


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
    markup = template.read_text("utf-8")
    named = re.findall(r"url_for\('static', filename='([^']+)'\)", markup)
    named += [f"js/{started}.js" for started in started_by(markup)]
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
    is_imported = any(f"/{module.name}'" in source for source in others)
    assert is_imported or module.stem in [started for one in others for started in started_by(one)]


def test_every_stylesheet_is_linked():
    base = (ROOT / "templates" / "base.html").read_text("utf-8")
    listed = re.search(r"for sheet in \[(.*?)\]", base, re.S)
    assert listed
    shared = {f"css/{sheet}.css" for sheet in re.findall(r"'([^']+)'", listed[1])}
    own = {
        sheet
        for template in TEMPLATES
        for sheet in re.findall(r"'static', filename='(css/[^']+)'", template.read_text("utf-8"))
    }
    on_disk = {path.relative_to(STATIC).as_posix() for path in STYLES}
    assert shared | own == on_disk - {"css/backtest-export.css"}  # which backtest_export.py reads


@pytest.mark.parametrize(
    "style", [style for style in STYLES if style.name != "api-docs.css"], ids=name
)
def test_no_rule_is_left_over(style: Path):
    users = (*MODULES, *TEMPLATES, ROOT / "svg_charts.py")
    sources = "\n".join(path.read_text("utf-8") for path in users)
    words = set(re.findall(r"[\w-]+", sources))
    begun = tuple(re.findall(r"([a-z][\w-]*-)\$\{", sources))  # `toast-${kind}`
    css = re.sub(r"/\*.*?\*/|\{[^{}]*\}", "", style.read_text("utf-8"), flags=re.S)
    named = set(re.findall(r"[.#]([a-zA-Z][\w-]*)", css))
    assert {word for word in named - words if not word.startswith(begun)} == set()


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
