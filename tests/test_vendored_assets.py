"""The browser libraries that are vendored are the pinned ones, unchanged, with their licences."""

import hashlib
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = json.loads((ROOT / "package.json").read_text("utf-8"))
LOCK = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
#: What the pages load, and what only the tests put into a page.
FOLDERS = {ROOT / "static" / "vendor": "dependencies", ROOT / "tests" / "vendor": "devDependencies"}
HASHES = {folder: json.loads((folder / "hashes.json").read_text("utf-8")) for folder in FOLDERS}
LIBRARIES = [(folder, library) for folder, entries in HASHES.items() for library in entries]
FILES = [
    (folder, library, name)
    for folder, library in LIBRARIES
    for name in HASHES[folder][library]["files"]
]


@pytest.mark.parametrize(("folder", "library", "name"), FILES)
def test_a_vendored_file_is_unchanged(folder: Path, library: str, name: str):
    content = (folder / library / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == HASHES[folder][library]["files"][name]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_vendored_file_is_unaccounted_for(folder: Path):
    on_disk = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    accounted = {Path(library, name) for place, library, name in FILES if place == folder}
    assert on_disk == accounted | {Path("hashes.json")}


@pytest.mark.parametrize(("folder", "library"), LIBRARIES)
def test_a_library_is_the_pinned_version_and_brings_its_licence(folder: Path, library: str):
    pinned = PACKAGE[FOLDERS[folder]][library]
    locked = LOCK[f"node_modules/{library}"]["version"]
    assert HASHES[folder][library]["version"] == pinned == locked
    assert any(name.startswith("LICENSE") for name in HASHES[folder][library]["files"])


def test_every_library_of_the_pages_is_vendored():
    assert set(PACKAGE["dependencies"]) == set(HASHES[ROOT / "static" / "vendor"])
