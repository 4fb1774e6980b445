"""Holds the imports to the floors of pyproject.toml with import-linter.

import-linter reads packages, and this app is a folder of modules. So the modules are copied, for
the length of the check, into a package named `house`, with their imports of each other put under
that name; lines keep their numbers.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = "house"
FOLDERS = ("repositories", "routes", "strategies", "exchange_simulator")


def main() -> int:
    """The status of lint-imports."""
    modules = sorted(ROOT.glob("*.py"))
    names = [path.stem for path in modules] + list(FOLDERS)
    local = "|".join(map(re.escape, names))
    pattern = re.compile(rf"^(\s*)(from|import) ({local})\b", re.MULTILINE)
    with tempfile.TemporaryDirectory() as folder:
        house = Path(folder, PACKAGE)
        house.mkdir()
        (house / "__init__.py").touch()
        for path in modules:
            shutil.copy(path, house)
        for name in FOLDERS:
            shutil.copytree(ROOT / name, house / name)
        for path in house.rglob("*.py"):
            text = path.read_text("utf-8")
            path.write_text(pattern.sub(rf"\1\2 {PACKAGE}.\3", text), "utf-8")
        command = [
            str(Path(sys.executable).with_name("lint-imports")), "--no-cache",
            "--config", str(ROOT / "pyproject.toml"),
        ]  # fmt: skip
        environment = os.environ | {"PYTHONPATH": folder}
        return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
