"""Domain objects as the JSON of the API: amounts as numbers, times as ISO 8601 with Z."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import ledger
from data_jobs import DataJob
from domain import Coin, FillKind, Side
from latest_prices import KnownPrice
from model_books import ValuedAccount
from repositories.backtests import BacktestRecord
from repositories.books import AccountValue, BookedTrade
from repositories.cycles import Cycle, DecisionRecord
from repositories.trading_state import Halt
from timestamps import iso_utc
from trading_engine import TradingEngine

_OPENING_SIGNALS = {Side.LONG: "buy_to_enter", Side.SHORT: "sell_to_enter"}


def number(amount: Decimal | None) -> float | None:
    """An exact amount as a JSON number."""
    return None if amount is None else float(amount)


def time(time_ms: int | None) -> str | None:
    """A time that may be missing."""
    return None if time_ms is None else iso_utc(time_ms)


def coin(row: Coin) -> dict[str, Any]:
    """A coin's columns."""
    return {
        "id": row.id,
        "symbol": row.symbol,
        "name": row.name,
        "category": row.category,
        "is_active": row.is_active,
        "binance_symbol": row.binance_symbol,
        "okx_symbol": row.okx_symbol,
        "coingecko_id": row.coingecko_id,
        "market_cap_rank": row.market_cap_rank,
        "notes": row.notes,
        "created_at": iso_utc(row.created_at),
        "updated_at": iso_utc(row.updated_at),
    }


def price(known: KnownPrice, age_seconds: float, stale: bool) -> dict[str, Any]:
    """A coin's latest price."""
    ticker = known.ticker
    return {
        "price": float(ticker.price),
        "change_24h": ticker.change_24h,
        "source": ticker.source,
        "age_seconds": round(age_seconds, 3),
        "stale": stale,
        "timestamp": iso_utc(ticker.time_ms),
    }


def portfolio(
    engine: TradingEngine, valued: ValuedAccount, openings: Mapping[str, int]
) -> dict[str, Any]:
    """An account at its marks, with its positions; `openings` are their first trades by coin."""
    account, at_marks = valued.account, valued.portfolio
    gained = at_marks.total_value - account.initial_capital
    return {
        "cash": float(account.cash),
        "positions": positions(engine, valued, openings),
        "positions_value": float(at_marks.positions_value),
        "margin_used": float(at_marks.margin_used),
        "unrealized_pnl": float(at_marks.unrealized_pnl),
        "realized_pnl": float(account.realized_pnl),
        "total_value": float(at_marks.total_value),
        "fees_paid": float(account.fees_paid),
        "initial_capital": float(account.initial_capital),
        "return_percentage": float(gained / account.initial_capital * 100),
    }


def positions(
    engine: TradingEngine, valued: ValuedAccount, openings: Mapping[str, int]
) -> list[dict[str, Any]]:
    """The open positions of an account."""
    rate = engine.rules.maintenance_margin_rate
    rows = []
    for symbol, position in valued.account.positions.items():
        mark = valued.portfolio.marks.get(symbol)
        at_mark = mark if mark is not None else position.entry_price
        liquidation = None if rate is None else ledger.liquidation_price(position, rate)
        age = valued.ages.get(symbol)
        rows.append(
            {
                "coin": symbol,
                "side": position.side.value,
                "quantity": float(position.quantity),
                "entry_price": float(position.entry_price),
                "leverage": float(position.leverage),
                "margin": float(position.margin),
                "mark_price": number(mark),
                "value": float(ledger.position_value(position, at_mark)),
                "unrealized_pnl": float(ledger.unrealized_pnl(position, at_mark)),
                "liquidation_price": number(liquidation),
                "stop_loss": number(position.exits.stop_loss),
                "profit_target": number(position.exits.profit_target),
                "trailing_stop_pct": number(position.exits.trailing_stop_pct),
                "opened_at": iso_utc(position.opened_at),
                "opened_by": openings.get(symbol),
                "stale": symbol in valued.stale,
                "mark_age_seconds": None if age is None else round(age, 3),
            }
        )
    return rows


def account_value(value: AccountValue) -> dict[str, Any]:
    """One point of a value curve."""
    return {
        "timestamp": iso_utc(value.time_ms),
        "total_value": float(value.total_value),
        "cash": float(value.cash),
        "positions_value": float(value.positions_value),
    }


def trade(booked: BookedTrade) -> dict[str, Any]:
    """One booked fill."""
    fill = booked.entry.fill
    opening = fill.kind is FillKind.OPEN
    return {
        "id": booked.id,
        "model_id": booked.model_id,
        "timestamp": iso_utc(fill.time_ms),
        "coin": fill.coin,
        "signal": _OPENING_SIGNALS[fill.side] if opening else "close_position",
        "kind": fill.kind.value,
        "side": fill.side.value,
        "quantity": float(fill.quantity),
        "price": float(fill.price),
        "leverage": float(fill.leverage),
        "fee": float(fill.fee),
        "pnl": float(booked.entry.pnl),
        "reason": fill.reason.value,
        "decision_id": fill.decision_id,
        "justification": booked.justification,
    }


def decision(record: DecisionRecord) -> dict[str, Any]:
    """What a trader said of a coin and what became of it."""
    said = dict(record.decision)
    return {
        "id": record.id,
        "cycle_id": record.cycle_id,
        "timestamp": iso_utc(record.timestamp),
        "coin": record.coin,
        "signal": record.signal,
        "outcome": record.outcome,
        "reason": record.reason,
        "changes": [change["limit"] for change in record.detail.values()],
        "detail": {
            field: {
                "asked": _amount(c["asked"]),
                "allowed": _amount(c["allowed"]),
                "limit": c["limit"],
            }
            for field, c in record.detail.items()
        },
        "justification": said.get("justification"),
        "confidence": said.get("confidence"),
        "decision": said,
    }


def _amount(text: str | None) -> float | None:
    """A stored amount as a JSON number, which knows neither NaN nor infinity."""
    amount = None if text is None else float(text)
    return amount if amount is None or math.isfinite(amount) else None


def cycle(row: Cycle | None) -> dict[str, Any] | None:
    """A decision cycle, if there was one."""
    if row is None:
        return None
    return {
        "status": row.status,
        "started_at": iso_utc(row.started_at),
        "finished_at": time(row.finished_at),
        "error": row.error,
        "code": row.error_code,
    }


def halt(state: Halt) -> dict[str, Any]:
    """The kill switch."""
    return {"halted": state.halted, "since": time(state.since_ms), "by": state.by}


def data_job(job: DataJob) -> dict[str, Any]:
    """A sync or an import."""
    return {
        "id": job.id,
        "kind": job.kind,
        "status": job.status,
        "progress": round(job.progress, 4),
        "detail": job.detail,
        "error": job.error,
        "code": job.error_code,
        "created_at": iso_utc(job.created_ms),
        "finished_at": time(job.finished_ms),
    }


def backtest(record: BacktestRecord) -> dict[str, Any]:
    """A run without its report."""
    return {
        "id": record.id,
        "model_id": record.model_id,
        "status": record.status,
        "progress": record.progress,
        "config": dict(record.config),
        "error": record.error,
        "code": record.error_code,
        "values": dict(record.error_values),
        "created_at": iso_utc(record.created_at),
        "started_at": time(record.started_at),
        "finished_at": time(record.finished_at),
        "summary": None if record.summary is None else dict(record.summary),
    }
