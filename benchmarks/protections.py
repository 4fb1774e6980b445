"""`python -m benchmarks.protections`: takes each protection out once, and looks which test notices.

Works on a copy of the files that git knows. Of each protection one line is changed, the tests that
are to notice are run, and the line is put back. Writes docs/security-protections.md; ends with
status 1 where no test has noticed. `--only TEXT` takes those alone whose name has it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "security-protections.md"
LONGEST_SECONDS = 600
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Protection:
    """A line of `file` that protects, what it becomes without, and which tests are to notice.

    `tests` are arguments of pytest.
    """

    row: str
    name: str
    file: str
    line: str
    without: str
    tests: tuple[str, ...]


CALLS, SECURITY, ACCESS = (
    "tests/test_who_may_call.py",
    "tests/test_security.py",
    "tests/test_owner_access.py",
)
SERVER, ADDRESS, BOX = (
    "tests/test_server.py",
    "tests/test_api_address.py",
    "tests/test_secret_box.py",
)
HALT, AUDIT = "tests/test_trading_halt.py", "tests/test_audit_log.py"

LISTENING = "Listening and signing in"
PAGES = "Names, origins, proofs"
SECRETS = "Secrets"
PROVIDERS = "Addresses of providers"
TEXTS = "Pages and what they show"
TRADING = "Trading"
LOG = "The audit log"

PROTECTIONS: Sequence[Protection] = (
    Protection(
        LISTENING, "elsewhere than on the loopback only with a password", "server.py",
        "    if config.others_can_reach and not services.access.password_is_set():",
        "    if False:", (SERVER, "-k", "without_a_password"),
    ),
    Protection(
        LISTENING, "the loopback is the default", "config.py",
        '        "127.0.0.1", description="Address', '        "0.0.0.0", description="Address',
        ("tests/test_config.py", SERVER),
    ),
    Protection(
        LISTENING, "passwords are hashed with argon2id", "passwords.py",
        "    return _hasher.hash(password)", "    return password", (ACCESS,),
    ),
    Protection(
        LISTENING, "a wrong password lets nobody in", "passwords.py",
        "        return len(password) <= LONGEST and _hasher.verify(hashed, password)",
        "        return len(password) <= LONGEST", (ACCESS,),
    ),
    Protection(
        LISTENING, "attempts are limited", "owner_access.py",
        "        self._attempts.begin(address)\n", "", (ACCESS,),
    ),
    Protection(
        LISTENING, "scripts of pages cannot read the cookie", "owner_sessions.py",
        '"SESSION_COOKIE_HTTPONLY": True', '"SESSION_COOKIE_HTTPONLY": False', (SECURITY, ACCESS),
    ),
    Protection(
        LISTENING, "the cookie is not sent along from other sites", "owner_sessions.py",
        '"SESSION_COOKIE_SAMESITE": "Strict"', '"SESSION_COOKIE_SAMESITE": None', (SECURITY, ACCESS),
    ),
    Protection(
        LISTENING, "behind TLS the cookie is for TLS alone", "owner_sessions.py",
        "        return request.is_secure", "        return False", (ACCESS,),
    ),
    Protection(
        LISTENING, "a new password ends every session", "owner_access.py",
        "            access.set_password_hash(connection, hashed, self._clock.now_ms())\n"
        "            access.end_all_sign_ins(connection)\n",
        "            access.set_password_hash(connection, hashed, self._clock.now_ms())\n", (ACCESS,),
    ),
    Protection(
        LISTENING, "of tokens only hashes are kept", "access_tokens.py",
        "    return hashlib.sha256(token.encode()).hexdigest()", "    return token", (ACCESS,),
    ),
    Protection(
        LISTENING, "tokens expire", "access_tokens.py",
        "        return self.expires_ms is not None and self.expires_ms <= now_ms",
        "        return False", (ACCESS, CALLS),
    ),
    Protection(
        LISTENING, "tokens are revoked", "owner_access.py",
        "            access.delete_token(connection, token_id)\n", "", (ACCESS, CALLS),
    ),
    Protection(
        LISTENING, "a token does what its scope says", "security.py",
        "    if not caller.scope.covers(needed):", "    if False:", (CALLS,),
    ),
    Protection(
        LISTENING, "who is nobody is asked to sign in", "security.py",
        "    if caller is None:\n        raise Unauthorized", "    if False:\n        raise Unauthorized",
        (CALLS,),
    ),
    Protection(
        LISTENING, "without a password another computer is nobody", "security.py",
        "caller.sign_in is None and not _is_loopback(caller_address())", "False", (CALLS,),
    ),
    Protection(
        PAGES, "the app answers by its own names alone", "security.py",
        "        check_host(request, hosts)\n", "", (SECURITY, CALLS),
    ),
    Protection(
        PAGES, "pages of other origins are refused", "security.py",
        "    if origin is not None and origin != ", "    if False and origin != ", (SECURITY, CALLS),
    ),
    Protection(
        PAGES, "what a browser sends for another site is refused", "security.py",
        '    if site not in ("none", "same-origin") and not is_link:', "    if False:", (SECURITY, CALLS),
    ),
    Protection(
        PAGES, "a browser's write has the proof of its page", "security.py",
        "    if not expected or not hmac.compare_digest(proof.encode(), expected.encode()):",
        "    if False:", (CALLS,),
    ),
    Protection(
        SECRETS, "keys are sealed before they are stored", "secret_box.py",
        "Fernet(key).encrypt(secret.encode()).decode()}", "secret}", (BOX,),
    ),
    Protection(
        SECRETS, "the key's file is its owner's alone", "secret_box.py",
        "os.O_EXCL, 0o600)", "os.O_EXCL, 0o644)", (BOX,),
    ),
    Protection(
        SECRETS, "logs are searched for keys", "redaction.py",
        "        record.msg, record.args = self.redact(_said(record)), None\n", "",
        ("tests/test_redaction.py",),
    ),
    Protection(
        SECRETS, "pages see the last four characters of a key", "routes/providers.py",
        '        "api_key_last_four": last_four,',
        '        "api_key_last_four": services().secrets.open(provider.sealed_key) '
        "if provider.sealed_key else None,",
        ("tests/test_api_providers.py", "tests/test_planted_secrets.py"),
    ),
    Protection(
        SECRETS, "backups are without keys unless asked", "backups.py",
        "        self._database.backup(target, None if with_keys else stored_secrets.forget)\n"
        "        made = _backup(target)",
        "        self._database.backup(target, None)\n        made = _backup(target)",
        ("tests/test_backups.py",),
    ),
    Protection(
        SECRETS, "answers of models are searched for the key", "llm_client.py",
        "            text = text.replace(key, CUT)\n        return _KEY_SHAPE.sub(CUT, text)",
        "            pass\n        return text",
        ("tests/test_llm_client.py", "tests/test_api_decisions.py", "tests/test_planted_secrets.py"),
    ),
    Protection(
        SECRETS, "a key does not follow its provider to another host", "routes/providers.py",
        '        if moved and provider.sealed_key and "api_key" not in named:', "        if False:",
        ("tests/test_api_providers.py",),
    ),
    Protection(
        PROVIDERS, "metadata services and link-local addresses are refused", "api_address.py",
        "        if address in METADATA_ADDRESSES or address.is_link_local:", "        if False:",
        (ADDRESS,),
    ),
    Protection(
        PROVIDERS, "this house only where that is allowed", "api_address.py",
        "            if not self.allow_local:", "            if False:", (ADDRESS,),
    ),
    Protection(
        PROVIDERS, "http and https alone", "api_address.py",
        "    if parts.scheme not in DEFAULT_PORTS or not host or port == 0:",
        "    if not host or port == 0:", (ADDRESS,),
    ),
    Protection(
        PROVIDERS, "no redirect is followed", "api_address.py",
        "follow_redirects=False", "follow_redirects=True", (ADDRESS,),
    ),
    Protection(
        PROVIDERS, "a connection goes to the address that was looked at", "api_address.py",
        "            request.url.copy_with(host=address),", "            request.url,", (ADDRESS,),
    ),
    Protection(
        TEXTS, "no script but our files'", "security.py",
        "\"script-src 'self'\"", "\"script-src 'self' 'unsafe-inline'\"", (SECURITY,),
    ),
    Protection(
        TEXTS, "no other site frames a page", "security.py",
        "        \"frame-ancestors 'none'\",\n", "", (SECURITY,),
    ),
    Protection(
        TEXTS, "every answer has the headers", "security.py",
        "            response.headers.setdefault(name, value)", "            pass", (SECURITY,),
    ),
    Protection(
        TEXTS, "no type is guessed", "security.py",
        '    "X-Content-Type-Options": "nosniff",\n', "", (SECURITY,),
    ),
    Protection(
        TEXTS, "addresses of pages are not told to other sites", "security.py",
        '"Referrer-Policy": "same-origin"', '"Referrer-Policy": "unsafe-url"', (SECURITY,),
    ),
    Protection(
        TEXTS, "templates escape", "templates/backtest_export.html",
        "<dt>{{ name }}</dt><dd>{{ term(value) }}</dd>{% endif %}",
        "<dt>{{ name }}</dt><dd>{{ term(value)|safe }}</dd>{% endif %}",
        ("tests/test_backtest_export.py",),
    ),
    Protection(
        TEXTS, "what comes from outside is text in the document", "static/js/element.js",
        "  node.append(...shown(children));",
        "  for (const child of shown(children)) child instanceof Node ? node.append(child) : "
        "node.insertAdjacentHTML('beforeend', String(child));",
        ("tests/e2e/test_models.py", "-k", "markup"),
    ),
    Protection(
        TEXTS, "nothing that the README starts is in debug mode", "Makefile",
        "--app app serve", "--app app --debug serve", ("tests/test_readme.py",),
    ),
    Protection(
        TRADING, "the kill switch stops cycles, calls and bookings", "repositories/trading_state.py",
        '    return Halt(bool(row["halted"]), row["since"], row["halted_by"])',
        '    return Halt(False, row["since"], row["halted_by"])', (HALT,),
    ),
    Protection(
        TRADING, "it holds in every process and over restarts", "trading_halt.py",
        "            trading_state.set_halt(connection, halted)\n", "", (HALT,),
    ),
    Protection(
        TRADING, "a late answer books nothing", "trading_halt.py",
        "    if trading_state.halt(connection).halted:", "    if False:", (HALT,),
    ),
    Protection(
        LOG, "every change leaves a row", "audit_log.py",
        "    audit.add(\n        connection,\n", "    (lambda *row: None)(\n        connection,\n", (AUDIT,),
    ),
    Protection(
        LOG, "keys in it are masked", "audit_log.py",
        "    if field in SECRET_FIELDS:", "    if False:", (AUDIT,),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the tests without a protection; `noticed` is the first test that failed."""

    protection: Protection
    noticed: str | None
    seconds: float
    output: str


def copy_of_the_code(folder: Path) -> None:
    """The files that git knows, as they are now, and what tests of pages need besides."""
    known = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    for name in filter(None, known.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for catalogue in ROOT.glob("translations/*/LC_MESSAGES/messages.mo"):
        shutil.copy2(catalogue, folder / catalogue.relative_to(ROOT))


def without(protection: Protection, folder: Path) -> Verdict:
    """Take it out of the code in `folder`, run the tests, and put it back."""
    path = folder / protection.file
    text = path.read_text("utf-8")
    assert text.count(protection.line) == 1, (
        f"{protection.name}: {text.count(protection.line)} times"
    )
    path.write_text(text.replace(protection.line, protection.without), "utf-8")
    start = time.perf_counter()
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *protection.tests],
            cwd=folder, capture_output=True, text=True, timeout=LONGEST_SECONDS,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
    finally:
        path.write_text(text, "utf-8")
    failed = FAILED.search(ended.stdout) if ended.returncode == 1 else None
    seconds = time.perf_counter() - start
    return Verdict(protection, failed[1] if failed else None, seconds, ended.stdout)


def page(verdicts: Sequence[Verdict]) -> str:
    """docs/security-protections.md."""
    lines = [
        "# Protections taken out, one by one",
        "",
        "Written by `python -m benchmarks.protections`: in a copy of the code the line that protects "
        "is changed, the tests that are to notice are run, and the line is put back. In the last "
        "column is the first test that failed.",
        "",
        "| | protection | where | noticed by |",
        "| --- | --- | --- | --- |",
    ]
    for verdict in verdicts:
        one = verdict.protection
        noticed = f"`{verdict.noticed}`" if verdict.noticed else "**nothing**"
        lines.append(f"| {one.row} | {one.name} | `{one.file}` | {noticed} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="those whose name has this text")
    asked = parser.parse_args()
    chosen = [one for one in PROTECTIONS if asked.only in one.name]
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="protections-") as name:
        folder = Path(name)
        copy_of_the_code(folder)
        for protection in chosen:
            verdict = without(protection, folder)
            verdicts.append(verdict)
            said = verdict.noticed or f"NOT NOTICED\n{verdict.output[-1500:]}"
            print(f"{protection.name} ({verdict.seconds:.0f} s): {said}", flush=True)
    if len(chosen) == len(PROTECTIONS):
        PAGE.write_text(page(verdicts), "utf-8")
    missed = [verdict for verdict in verdicts if verdict.noticed is None]
    print(f"{len(verdicts)} protections taken out, {len(missed)} unnoticed")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
