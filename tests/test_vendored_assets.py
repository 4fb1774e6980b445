"""The browser libraries in static/vendor are the pinned ones, unchanged, with their licences."""

import hashlib
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
VENDOR = ROOT / "static" / "vendor"
HASHES = json.loads((VENDOR / "hashes.json").read_text("utf-8"))
FILES = [(library, name) for library, entry in HASHES.items() for name in entry["files"]]


@pytest.mark.parametrize(("library", "name"), FILES)
def test_a_vendored_file_is_unchanged(library: str, name: str):
    content = (VENDOR / library / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == HASHES[library]["files"][name]


def test_no_vendored_file_is_unaccounted_for():
    on_disk = {path.relative_to(VENDOR) for path in VENDOR.rglob("*") if path.is_file()}
    accounted = {Path(library, name) for library, name in FILES} | {Path("hashes.json")}
    assert on_disk == accounted


@pytest.mark.parametrize("library", HASHES)
def test_a_library_is_the_pinned_version_and_brings_its_licence(library: str):
    pinned = json.loads((ROOT / "package.json").read_text("utf-8"))["dependencies"]
    locked = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
    version = HASHES[library]["version"]
    assert version == pinned[library] == locked[f"node_modules/{library}"]["version"]
    assert any(name.startswith("LICENSE") for name in HASHES[library]["files"])


def test_every_pinned_library_is_vendored():
    pinned = json.loads((ROOT / "package.json").read_text("utf-8"))["dependencies"]
    assert set(pinned) == set(HASHES)
