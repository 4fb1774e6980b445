"""Whatever is installed is exactly what was pinned: each package by its version and its hash."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PINNED = re.compile(r"[a-z0-9][a-z0-9._-]*(\[[a-z,]+\])?==[^\s;]+( ; [^\\]+)?", re.IGNORECASE)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_package_is_pinned_with_its_hashes(name: str):
    text = (ROOT / name).read_text("utf-8")
    lines = [
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    requirements = "\n".join(lines).replace("\\\n", " ").splitlines()
    assert len(requirements) > 40
    for requirement in requirements:
        package, *hashes = requirement.split("--hash=")
        assert PINNED.fullmatch(package.strip()), requirement
        assert hashes, f"{package} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", text.strip()) for text in hashes)


def test_every_package_of_the_browser_is_locked_with_its_hash():
    packages = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
    installed = {path: locked for path, locked in packages.items() if path}
    assert installed
    for path, locked in installed.items():
        assert locked["integrity"].startswith("sha512-"), path
    wanted = json.loads((ROOT / "package.json").read_text("utf-8"))
    for version in (wanted.get("dependencies", {}) | wanted["devDependencies"]).values():
        assert re.fullmatch(r"[0-9][0-9a-z.-]*", version)  # and none asks for a range
