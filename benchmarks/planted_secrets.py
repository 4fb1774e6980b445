"""`python -m benchmarks.planted_secrets`: secrets planted in a process that then trades for a day.

Everything is logged, of the app and of its libraries, at DEBUG and as JSON. Afterwards each secret
is looked for in every byte of the log, of the database and its write-ahead log, and of the backups.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from cryptography.fernet import Fernet

from benchmarks.environments import ROOT
from clock import SystemClock
from demo import simulated_exchange
from domain import MINUTE_MS
from redaction import CUT
from security import CSRF_HEADER

LOG_NAME, DATABASE_NAME = "log.jsonl", "trading.db"
PATIENCE_SECONDS = 120.0
COINS = ["BTC", "ETH", "SOL"]
OF_THE_ENVIRONMENT = (
    "BINANCE_API_KEY", "BINANCE_API_SECRET", "OKX_API_KEY", "OKX_API_SECRET", "OKX_PASSPHRASE",
    "COINGECKO_API_KEY",
)  # fmt: skip


def planted(name: str) -> str:
    """A secret of no known shape, that is nowhere else."""
    return f"{name}-{secrets.token_hex(10)}"


def settings_to_plant() -> dict[str, str]:
    """Settings of the app that are secrets."""
    given = {name: planted(name.lower()) for name in OF_THE_ENVIRONMENT}
    return given | {"SECRET_KEY": Fernet.generate_key().decode()}


class Gardener:
    """Plants secrets through the routes of a running app; `secrets` are all of them by name."""

    def __init__(self, address: str, exchange: str, secrets: Mapping[str, str]):
        self.secrets = dict(secrets)
        self._address = address
        self._exchange = exchange
        self._session = requests.Session()

    def plant(self) -> None:
        """Every kind, each used as well: by who knows it and by who has it wrong."""
        self._sign_in()
        self._add_models()
        self._go_wrong()
        self._notify()

    def back_up(self, *, with_keys: bool) -> None:
        """Let the app make a backup."""
        self._ask("post", "/api/backups", {"with_keys": with_keys})

    def _sign_in(self) -> None:
        """A password, wrong ones too; a browser's session; tokens, of which one is revoked."""
        password, wrong = planted("pass & «word» with 'quotes' and \\"), planted("wrong")
        self._prove()
        self._ask("put", "/api/password", {"password": password})
        self._session.cookies.clear()
        self._session.headers.pop(CSRF_HEADER, None)
        for said in (wrong, password):
            login = f"{self._address}/login"
            self._session.post(login, data={"password": said}, timeout=PATIENCE_SECONDS)
        proof = self._prove()
        token = self._ask("post", "/api/tokens", {"name": "script", "scope": "admin"})["token"]
        revoked = self._ask("post", "/api/tokens", {"name": "another", "scope": "read"})
        self._ask("delete", f"/api/tokens/{revoked['id']}")
        for text, status in ((token, 200), (revoked["token"], 401)):
            headers = {"Authorization": f"Bearer {text}"}
            answer = requests.get(
                f"{self._address}/api/models", headers=headers, timeout=PATIENCE_SECONDS
            )
            assert answer.status_code == status
        (cookie,) = self._session.cookies
        self.secrets |= {
            "password": password, "wrong password": wrong, "cookie": str(cookie.value),
            "proof": proof, "token": token, "revoked token": revoked["token"],
        }  # fmt: skip

    def _add_models(self) -> None:
        """A provider whose key is changed and used; a model that asks it, another that does not."""
        first, key = planted("first-key"), planted("key")
        self.secrets |= {"first key": first, "key": key}
        provider = {
            "name": "Simulated", "api_url": f"{self._exchange}/llm/v1", "api_key": first,
            "models": ["sim-steady"],
        }  # fmt: skip
        provider_id = self._ask("post", "/api/providers", provider)["id"]
        self._ask("put", f"/api/providers/{provider_id}", {"api_key": key})
        self._ask("post", f"/api/providers/{provider_id}/test")
        self._ask("post", "/api/providers/models", {"provider_id": provider_id})
        common = {"interval": "1m", "cycle_minutes": 5, "coins": COINS}
        asking = {
            "name": "Asks", "trader": "ai", "provider_id": provider_id, "model_name": "sim-steady",
            "params": {"daily_calls": None, "daily_tokens": None, "daily_cost": None},
        }  # fmt: skip
        chances = {"enter_chance": 0.3, "close_chance": 0.3}
        monkey = {"name": "Monkey", "trader": "random", "params": chances}
        for terms in (asking, monkey):
            model_id = self._ask("post", "/api/models", common | terms)["id"]
            self._ask("post", f"/api/models/{model_id}/execute")

    def _go_wrong(self) -> None:
        """A provider that says which key was wrong: to a test, a question and a cycle."""
        faults = f"{self._exchange}/control/faults"
        wrong = {"venue": "llm", "fault": "401", "channel": "rest"}
        requests.post(faults, json=wrong, timeout=PATIENCE_SECONDS).raise_for_status()
        self._ask("post", "/api/providers/1/test")
        self._ask("post", "/api/providers/models", {"provider_id": 1}, may_fail=True)
        self._ask("post", "/api/models/1/execute", may_fail=True)
        requests.delete(faults, timeout=PATIENCE_SECONDS).raise_for_status()

    def _notify(self) -> None:
        """A webhook, whose address is a key to it."""
        hook = planted("hook")
        self.secrets |= {"webhook": hook}
        address = f"{self._exchange}/hooks/{hook}?sig={hook}"
        self._ask("put", "/api/notifications", {"address": address})
        self._ask("post", "/api/notifications/test")

    def _prove(self) -> str:
        """Give the session the proof that pages have."""
        proof = str(self._ask("get", "/api/session")["csrf_token"])
        self._session.headers[CSRF_HEADER] = proof
        return proof

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        may_fail: bool = False,
    ) -> Any:
        sent = None if method == "get" else body or {}
        answer = self._session.request(
            method, self._address + path, json=sent, timeout=PATIENCE_SECONDS
        )
        if not may_fail:
            answer.raise_for_status()
        return answer.json()


# ------------------------------------------------------------------------------------ search


@dataclass(frozen=True, slots=True)
class Search:
    """What was written, and which secrets were found where. `cut`: lines without what they had."""

    lines: int
    cut: int
    cycles: int
    by_logger: Mapping[str, int]
    file_bytes: Mapping[str, int]
    found: list[str]

    def report(self) -> Iterator[str]:
        """For a person."""
        yield f"log: {self.lines:,} lines, of {self.cycles:,} cycles and what is around them"
        yield f"  {self.cut:,} lines had something cut out"
        yield "  by " + ", ".join(f"{name} {count:,}" for name, count in self.by_logger.items())
        for name, size in self.file_bytes.items():
            yield f"{name}: {size:,} bytes"
        yield f"secrets found: {len(self.found)}"
        yield from self.found


def search(folder: Path, planted_secrets: Mapping[str, str]) -> Search:
    """Look for every secret in every byte of the log, the database's files and the backups."""
    files = [folder / LOG_NAME, *folder.glob(f"{DATABASE_NAME}*"), *folder.glob("backups/*")]
    files += [path for path in folder.glob("*.db") if path not in files]
    contents = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(files)}
    lines = [json.loads(line) for line in contents[LOG_NAME].decode().splitlines()]
    return Search(
        lines=len(lines),
        cut=sum(CUT in line["message"] for line in lines),
        cycles=len({line["cycle_id"] for line in lines if "cycle_id" in line}),
        by_logger=dict(Counter(line["logger"].split(".")[0] for line in lines).most_common()),
        file_bytes={name: len(content) for name, content in contents.items()},
        found=[
            f"{secret} in {file}"
            for file, content in contents.items()
            for secret, text in planted_secrets.items()
            if any(spelled in content for spelled in _spellings(text))
        ],
    )


def _spellings(secret: str) -> set[bytes]:
    """As it is and as JSON writes it; and its random end, which no other spelling would change."""
    return {secret.encode(), json.dumps(secret)[1:-1].encode(), secret[-20:].encode()}


# ------------------------------------------------------------------------------------- a day


def live(folder: Path, *, minutes: int, speed: float) -> Search:
    """Serve and trade for `minutes` of the market at `speed` times real time, in a process."""
    wall_ms = SystemClock().now_ms()
    start_ms = wall_ms - wall_ms % MINUTE_MS
    clock = {
        "DEMO_CLOCK_START_MS": str(start_ms), "DEMO_CLOCK_WALL_START_MS": str(wall_ms),
        "DEMO_CLOCK_SPEED": str(speed), "MARKET": "demo",
    }  # fmt: skip
    given = settings_to_plant()
    with (
        simulated_exchange(start_ms, wall_ms, speed) as exchange,
        _serving(folder, exchange, given | clock) as address,
    ):
        began = time.monotonic()
        gardener = Gardener(address, exchange, given)
        gardener.plant()
        time.sleep(max(0.0, began + minutes * 60 / speed - time.monotonic()))
        gardener.back_up(with_keys=True)
        time.sleep(1.0)  # a backup is named by its second
        gardener.back_up(with_keys=False)
    return search(folder, gardener.secrets)


@contextmanager
def _serving(folder: Path, exchange: str, settings: Mapping[str, str]) -> Iterator[str]:
    """The process; its address."""
    environment = os.environ | settings | {
        "DATABASE_PATH": str(folder / DATABASE_NAME), "PORT": "0", "PRICE_POLL_SECONDS": "0.5",
        "BINANCE_API_URL": exchange, "OKX_API_URL": exchange,
        "BINANCE_STREAM_URL": exchange.replace("http", "ws", 1),
        "OKX_STREAM_URL": exchange.replace("http", "ws", 1) + "/ws/v5",
        "COINGECKO_API_URL": f"{exchange}/coingecko", "LOCAL_PROVIDERS": "on",
        "LOG_LEVEL": "DEBUG", "LOG_LIBRARIES": "DEBUG", "LOG_FORMAT": "json",
    }  # fmt: skip
    command = [sys.executable, "-m", "flask", "--app", "app", "serve"]
    with (
        (folder / LOG_NAME).open("wb") as log,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        assert process.stdout is not None  # it is a pipe
        try:
            said = (re.search(r"http://\S+", line) for line in process.stdout)
            yield next(found[0] for found in said if found is not None)
        finally:
            process.send_signal(signal.SIGTERM)


def main() -> int:
    """Run, print, and fail where a secret was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=24 * 60, help="of the market")
    parser.add_argument("--speed", type=float, default=300.0, help="times real time")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        result = live(Path(folder), minutes=asked.minutes, speed=asked.speed)
    print("\n".join(result.report()))
    return 1 if result.found else 0


if __name__ == "__main__":
    sys.exit(main())
