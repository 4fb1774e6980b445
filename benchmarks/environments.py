"""A virtual environment for each peer, made from pinned requirements and kept while they stand."""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ENVIRONMENTS = ROOT / ".venv-bench"
STAMP = "requirements.sha256"


def peer_python(peer: str) -> Path:
    """The interpreter of `peer`'s environment, which is made first where it is not up to date.

    Raises subprocess.CalledProcessError, after pip's own words, where it cannot be made.
    """
    requirements = HERE / f"requirements-{peer}.txt"
    folder = ENVIRONMENTS / peer
    python = folder / "bin" / "python"
    stamp = folder / STAMP
    wanted = stamp_of(requirements)
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"Setting up {peer} in {folder.relative_to(ROOT)} …", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--requirement", str(requirements)], check=True)
    stamp.write_text(wanted)
    return python


def stamp_of(requirements: Path) -> str:
    """What an environment is good for: these requirements on this Python."""
    text = requirements.read_bytes() + platform.python_version().encode()
    return hashlib.sha256(text).hexdigest()
