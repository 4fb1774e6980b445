"""Secrets at rest: what is sealed opens with its key alone, and a wrong key says so."""

from __future__ import annotations

import base64
import stat
import threading
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from errors import SecretUnreadable
from secret_box import SecretBox, make_key_file

SECRET = "sk-planted-0123456789"


def test_a_secret_comes_back_and_is_not_in_what_is_stored(tmp_path: Path):
    box = SecretBox("", tmp_path / "secret.key")
    sealed = box.seal(SECRET)
    assert SECRET not in sealed
    assert sealed != box.seal(SECRET)
    assert box.open(sealed) == SECRET
    assert SecretBox("", tmp_path / "secret.key").open(sealed) == SECRET


def test_the_key_file_is_its_owners_alone(tmp_path: Path):
    path = tmp_path / "new" / "secret.key"
    SecretBox("", path).seal(SECRET)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["secret.key"]


def test_nothing_is_made_before_something_is_sealed(tmp_path: Path):
    box = SecretBox("", tmp_path / "secret.key")
    with pytest.raises(SecretUnreadable, match="missing"):
        box.open("1:abcdef01:token")
    assert list(tmp_path.iterdir()) == []


def test_processes_that_make_the_key_at_once_find_the_same(tmp_path: Path):
    path = tmp_path / "secret.key"
    start = threading.Barrier(8)
    sealed: list[str] = []

    def seal() -> None:
        box = SecretBox("", path)
        start.wait()
        sealed.append(box.seal(SECRET))

    threads = [threading.Thread(target=seal) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {SecretBox("", path).open(text) for text in sealed} == {SECRET}
    assert len(sealed) == 8


def test_the_key_of_the_environment_comes_first(tmp_path: Path):
    key = Fernet.generate_key().decode()
    sealed = SecretBox(key, tmp_path / "secret.key").seal(SECRET)
    assert list(tmp_path.iterdir()) == []
    assert SecretBox(key, tmp_path / "other.key").open(sealed) == SECRET


def test_another_key_is_said_to_be_another(tmp_path: Path):
    sealed = SecretBox(Fernet.generate_key().decode(), tmp_path / "none").seal(SECRET)
    make_key_file(tmp_path / "secret.key")
    with pytest.raises(SecretUnreadable, match=r"another key than that of .*secret\.key"):
        SecretBox("", tmp_path / "secret.key").open(sealed)
    with pytest.raises(SecretUnreadable, match="another key than that of SECRET_KEY"):
        SecretBox(Fernet.generate_key().decode(), tmp_path / "none").open(sealed)


@pytest.mark.parametrize("key", ["short", "x" * 44, "é" * 44])
def test_what_is_no_key_is_refused(tmp_path: Path, key: str):
    with pytest.raises(SecretUnreadable, match="SECRET_KEY is no key"):
        SecretBox(key, tmp_path / "none").seal(SECRET)


@pytest.mark.parametrize("damage", [lambda s: s[:-4] + "AAAA", lambda s: "", lambda s: "2:" + s])
def test_a_damaged_text_is_said_to_be_damaged(tmp_path: Path, damage):
    box = SecretBox("", tmp_path / "secret.key")
    with pytest.raises(SecretUnreadable):
        box.open(damage(box.seal(SECRET)))


def test_every_secret_that_passes_is_told(tmp_path: Path):
    told: list[str] = []
    box = SecretBox("", tmp_path / "secret.key", told.append)
    sealed = box.seal(SECRET)
    assert SECRET in told
    again: list[str] = []
    SecretBox("", tmp_path / "secret.key", again.append).open(sealed)
    assert SECRET in again
    assert (tmp_path / "secret.key").read_text().strip() in again


def test_a_key_is_derived_for_each_purpose_and_tells_nothing_of_the_key(tmp_path: Path):
    path = tmp_path / "secret.key"
    box = SecretBox("", path)
    with pytest.raises(SecretUnreadable, match="missing"):
        box.derived_key("sessions")
    assert not path.exists()
    box.make_key()
    derived = box.derived_key("sessions")
    assert SecretBox("", path).derived_key("sessions") == derived
    assert box.derived_key("something else") != derived
    assert len(derived) == 32
    assert derived not in base64.urlsafe_b64decode(path.read_bytes())
