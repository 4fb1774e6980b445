"""The Chinese catalogue: every string of the sources is there, translated, with its placeholders."""

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import CommandLineInterface, parse_mapping_cfg
from babel.messages.pofile import read_po

from strategies import registry

ROOT = Path(__file__).parent.parent
CATALOGUE = ROOT / "translations" / "zh" / "LC_MESSAGES" / "messages.po"
PLACEHOLDER = re.compile(r"%\(\w+\)s")
#: A literal given to `t(…)` in a module, as an extraction of our own to check Babel's by.
LITERAL = re.compile(r"""\bt\(\s*'((?:[^'\\]|\\.)+)'|\bt\(\s*"((?:[^"\\]|\\.)+)\"""")
#: What a template says otherwise than between tags.
SAYING = re.compile(r'\b(?:aria-label|aria-description|title|placeholder|alt)="([^"]*)"')
#: Codes of errors that only commands raise, which speak English.
OF_COMMANDS = {"database_in_use", "lease_held", "migration_error", "port_taken"}
#: Words that are the same in both languages.
SAME_IN_CHINESE = {"UTC"}


@pytest.fixture(scope="module")
def extracted() -> set[str]:
    with (ROOT / "babel.cfg").open(encoding="utf-8") as mapping:
        methods, options = parse_mapping_cfg(mapping)
    found = extract_from_dir(str(ROOT), methods, options, keywords={"_": None, "t": None})
    return {message for _file, _line, message, _comments, _context in found if message}


@pytest.fixture(scope="module")
def catalogue() -> Catalog:
    with CATALOGUE.open("rb") as file:
        return read_po(file)


def messages(catalogue: Catalog) -> dict[str, str]:
    return {message.id: message.string for message in catalogue if message.id}


def test_the_catalogue_holds_exactly_the_strings_of_the_sources(extracted, catalogue):
    translated = set(messages(catalogue))
    assert extracted - translated == set(), "not in the catalogue"
    assert translated - extracted == set(), "no longer in the sources"


def test_every_string_is_translated(catalogue):
    fuzzy = [message.id for message in catalogue if message.id and message.fuzzy]
    empty = [english for english, chinese in messages(catalogue).items() if not chinese.strip()]
    untouched = [
        english
        for english, chinese in messages(catalogue).items()
        if english == chinese and english not in SAME_IN_CHINESE
    ]
    assert (fuzzy, empty, untouched) == ([], [], [])


def test_the_placeholders_agree(catalogue):
    for english, chinese in messages(catalogue).items():
        assert sorted(PLACEHOLDER.findall(english)) == sorted(PLACEHOLDER.findall(chinese)), english


def test_no_string_of_a_module_escapes_the_extraction(extracted):
    for module in (ROOT / "static" / "js").glob("*.js"):
        for single, double in LITERAL.findall(module.read_text("utf-8")):
            literal = (single or double).replace("\\'", "'")
            assert literal in extracted, module.name


def test_no_text_of_a_template_is_outside_of_the_translation():
    """Words between tags must come out of `_(…)`; what is the same in each language may stand."""
    allowed = {"TradingView Lightweight Charts™ Copyright (c) 2026 TradingView, Inc."}
    for template in (ROOT / "templates").glob("*.html"):
        markup = re.sub(
            r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<!--.*?-->",
            "",
            template.read_text("utf-8"),
            flags=re.S,
        )
        for text in re.findall(r">([^<>]+)<", markup):
            words = " ".join(text.split())
            if re.search(r"[A-Za-z]{2}", words) and not words.startswith("https://"):
                assert words in allowed, template.name


def test_no_attribute_of_a_template_is_outside_of_the_translation():
    for template in (ROOT / "templates").glob("*.html"):
        markup = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", template.read_text("utf-8"), flags=re.S)
        for said in SAYING.findall(markup):
            assert not re.search(r"[A-Za-z]{2}", said), template.name


def error_codes(source: str) -> Iterator[str]:
    """The literal codes of errors and of reasons in a module."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.keyword(arg="code", value=ast.Constant(value=str(code))):
                yield code
            case ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant(value=str(code))):
                yield code
            case ast.Call(
                func=ast.Name(id="PydanticCustomError"), args=[ast.Constant(value=str(code)), *_]
            ):
                yield code
            case ast.Dict(
                keys=[ast.Constant(value="code"), *_], values=[ast.Constant(value=str(code)), *_]
            ):
                yield code


def test_every_code_of_an_error_has_words():
    modules = [ROOT / "static" / "js" / name for name in ("error-words.js", "words.js")]
    worded = {
        code
        for module in modules
        for code in re.findall(r"^  (\w+): ", module.read_text("utf-8"), re.M)
    }
    for folder in (ROOT, ROOT / "routes", ROOT / "repositories", ROOT / "strategies"):
        for module in folder.glob("*.py"):
            codes = set(error_codes(module.read_text("utf-8")))
            assert codes - worded - OF_COMMANDS == set(), module.name


def test_what_a_trader_says_of_itself_is_translated(catalogue):
    translated = messages(catalogue)
    for trader in registry().values():
        assert trader.name in translated
        assert trader.description in translated
        for parameter in trader.params_schema()["properties"].values():
            assert parameter["title"] in translated


def test_the_catalogue_compiles(tmp_path):
    place = tmp_path / "zh" / "LC_MESSAGES"
    place.mkdir(parents=True)
    shutil.copy(CATALOGUE, place)
    failed = CommandLineInterface().run(["pybabel", "-q", "compile", "-d", str(tmp_path)])
    assert not failed
    assert (place / "messages.mo").stat().st_size > 1000
