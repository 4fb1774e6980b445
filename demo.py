"""`python -m demo`: the whole app on the simulated exchange, with seven models trading.

Two of them ask language models, which are simulated as well, so that prompts, answers and what risk
makes of them are there to be seen without a key.

The market runs faster than real time, and goes on where it was when the demo is started again.
The environment may name another database (DEMO_DATABASE_PATH), PORT and DEMO_CLOCK_SPEED.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from app import create_app
from clock import SystemClock
from config import Config, MarketKind
from database import Database
from domain import MINUTE_MS, Interval, TokenPrices, TradingModel
from exchange_simulator.llm_answers import BOLD, MODELS, THINKER
from repositories import books, coins, models, pools, providers
from repositories.providers import Provider
from routes.services import EXTENSION, Services
from server import serve
from timestamps import iso_utc

DATABASE = Path("instance/demo.db")
SEED = 7
SPEED = 30.0  # a minute of the market in two seconds
SCRIPT_DAYS = 30
SCRIPT_STEP_MINUTES = 20
PROVIDER = "Simulated LLM"
PROVIDER_KEY = "sk-simulated-no-secret"
LLM_CYCLE_MINUTES = 5
LLM_CALLS_A_DAY = 4000  # of real time; at thirty times its pace a cycle comes every ten seconds


def main() -> int:
    """Start the exchange, make the models on the first start, and serve."""
    database_path = Path(os.environ.get("DEMO_DATABASE_PATH", DATABASE))
    wall_ms = SystemClock().now_ms()
    start_ms = max(wall_ms, _last_seen_ms(database_path) + MINUTE_MS)
    start_ms -= start_ms % MINUTE_MS  # full minutes: charts begin with a whole candle
    speed = float(os.environ.get("DEMO_CLOCK_SPEED", SPEED))
    with simulated_exchange(start_ms, wall_ms, speed) as address:
        config = Config(
            DATABASE_PATH=database_path,
            MARKET=MarketKind.DEMO,
            BINANCE_API_URL=address,
            OKX_API_URL=address,
            BINANCE_STREAM_URL=address.replace("http", "ws", 1),
            OKX_STREAM_URL=address.replace("http", "ws", 1) + "/ws/v5",
            COINGECKO_API_URL=f"{address}/coingecko",
            DEMO_CLOCK_START_MS=start_ms,
            DEMO_CLOCK_WALL_START_MS=wall_ms,
            DEMO_CLOCK_SPEED=speed,
            PRICE_POLL_SECONDS=1.0,
            SOURCE_BUDGET_SECONDS=8.0,  # this machine has to make up the years that are asked for
            LOCAL_PROVIDERS="on",
        )
        app = create_app(config)
        add_models(app.extensions[EXTENSION], f"{address}/llm/v1")
        serve(app)
    return 0


@contextmanager
def simulated_exchange(start_ms: int, wall_start_ms: int, speed: float) -> Iterator[str]:
    """The exchange as a process that ends with this one; its address."""
    command = [
        sys.executable, "-m", "exchange_simulator", "--port", "0", "--seed", str(SEED),
        "--start-ms", str(start_ms), "--wall-start-ms", str(wall_start_ms),
        "--speed", str(speed), "--with-parent",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # it is a pipe
        said = process.stdout.readline()
        try:
            if "http://" not in said:
                raise SystemExit("The simulated exchange did not start.")
            yield said[said.index("http://") :].strip()
        finally:
            process.terminate()


def _last_seen_ms(path: Path) -> int:
    """The latest market time in an earlier demo's database; 0 without one."""
    if not path.exists():
        return 0
    database = Database(path, SystemClock())
    database.upgrade()
    latest = books.latest_value_time(database.connection)
    database.close()
    return latest or 0


def add_models(services: Services, llm_url: str) -> None:
    """The models of the demo, where there are no models yet; their provider, where it is now."""
    database = services.database
    database.upgrade()
    provider_id = _provider_at(services, llm_url)
    if models.list_models(database.connection, include_archived=True):
        return
    now_ms = services.clock.now_ms()
    for model, symbols in [*_sample_models(now_ms), *_llm_models(provider_id)]:
        with database.transaction() as connection:
            stored = models.add(connection, model, now_ms)
            pool = [coins.get(connection, symbol) for symbol in symbols]
            pools.replace_members(connection, stored.id, pool, now_ms)


def _provider_at(services: Services, llm_url: str) -> int:
    """The simulated provider's id; its port is another one at every start."""
    now_ms = services.clock.now_ms()
    prices = TokenPrices(Decimal("0.27"), Decimal("1.10"), Decimal("0.07"))
    with services.database.transaction() as connection:
        for known in providers.list_providers(connection):
            if known.name == PROVIDER:
                providers.update(connection, replace(known, api_url=llm_url), now_ms)
                return known.id
        provider = Provider(
            PROVIDER, llm_url, services.secrets.seal(PROVIDER_KEY), MODELS,
            dict.fromkeys(MODELS, prices),
        )  # fmt: skip
        return providers.add(connection, provider, now_ms).id


def _llm_models(provider_id: int) -> list[tuple[TradingModel, list[str]]]:
    """Two that ask a language model: one thinks aloud, the other asks now and then for too much."""
    common = {"history_bars": 12, "daily_calls": LLM_CALLS_A_DAY}
    hybrid = common | {"advice": "ma_cross", "advice_params": {"fast": 5, "slow": 20}}
    thinker = TradingModel(
        "LLM with advice", "ai", Decimal(10_000), Interval.M1, LLM_CYCLE_MINUTES, "balanced",
        hybrid,
        provider_id=provider_id, model_name=THINKER,
        prompt="Trade with the trend, and only where the strategy does not speak against it.",
    )  # fmt: skip
    bold = replace(
        thinker,
        name="大模型（激进）",
        model_name=BOLD,
        params=common | {"language": "zh", "other_intervals": ["5m"]},
        prompt="敢于下注，但要尊重风险限制。",
    )
    return [
        (thinker, ["BTC", "ETH", "SOL", "XRP", "DOGE"]),
        (bold, ["BTC", "ETH", "BNB", "PEPE", "LINK"]),
    ]


def _sample_models(now_ms: int) -> list[tuple[TradingModel, list[str]]]:
    """Models and their pools."""
    first = TradingModel(
        "Buy and hold", "buy_and_hold", Decimal(10_000), Interval.M1, 1, "off", {"weight": 0.95}
    )
    # Short averages, so that each has surely crossed within the first half hour of the market.
    simple = {"fast": 2, "slow": 5, "weight": 0.5}
    exponential = simple | {"kind": "ema", "allow_short": True, "leverage": 2, "weight": 0.2}
    chances = {"seed": 7, "enter_chance": 0.3, "close_chance": 0.2, "allow_short": True}
    script = {"decisions": _script(now_ms)}
    return [
        (first, ["BTC", "ETH", "SOL"]),
        (
            replace(first, name="MA cross, fast", trader="ma_cross", params=simple),
            ["BTC", "ETH", "SOL", "DOGE", "XRP", "AVAX"],
        ),
        (
            replace(first, name="EMA cross, long and short", trader="ma_cross", params=exponential),
            ["BTC", "ETH", "BNB", "LINK", "ADA", "ARB"],
        ),
        (
            replace(first, name="Random monkey", trader="random", params=chances, risk="balanced"),
            ["BTC", "ETH", "SOL", "PEPE", "UNI"],
        ),
        (
            replace(first, name="Scripted", trader="scripted", params=script, risk="balanced"),
            ["BTC", "ETH"],
        ),
    ]


def _script(now_ms: int) -> list[dict[str, Any]]:
    """In turn long and short of BTC and ETH, each held for half a step, with a trailing stop."""
    decisions: list[dict[str, Any]] = []
    for step in range(SCRIPT_DAYS * 24 * 60 // SCRIPT_STEP_MINUTES):
        opened = now_ms + (1 + step * SCRIPT_STEP_MINUTES) * MINUTE_MS
        coin = "BTC" if step % 2 == 0 else "ETH"
        signal = "buy_to_enter" if step % 4 < 2 else "sell_to_enter"
        closed = opened + SCRIPT_STEP_MINUTES // 2 * MINUTE_MS
        decisions += [
            {
                "time": iso_utc(opened), "coin": coin, "signal": signal, "weight": 0.2,
                "leverage": 2, "trailing_stop_pct": 1.5, "confidence": 0.6,
                "justification": f"Step {step + 1} of the script: {signal.split('_')[0]} {coin}.",
            },
            {
                "time": iso_utc(closed), "coin": coin, "signal": "close_position",
                "justification": "The script's holding time is over.",
            },
        ]  # fmt: skip
    return decisions


if __name__ == "__main__":
    sys.exit(main())
