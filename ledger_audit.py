"""Proof that the books follow from the trades: every model's fills are posted again and compared."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from decimal import Decimal

import ledger
from domain import Entry, Position, TradingModel
from errors import LedgerMismatch, OrderRefused
from ledger import Account
from repositories import books


@dataclass(frozen=True, slots=True)
class AuditResult:
    """What the replay of one model's trades found; no differences means that the books are right."""

    model: TradingModel
    trades: int
    differences: tuple[str, ...]


def audit(connection: sqlite3.Connection, model: TradingModel) -> AuditResult:
    """Replay a model's trades from its initial capital and compare each row and the result."""
    try:
        booked = books.all_entries(connection, model.id)
        stored = books.load_account(connection, model.id)
    except LedgerMismatch as mismatch:
        return AuditResult(model, 0, (mismatch.message,))
    account = Account.opened_with(model.initial_capital)
    for trade in booked:
        try:
            account, entry = ledger.post(account, trade.entry.fill)
        except OrderRefused as refusal:
            said = f"trade {trade.id} cannot be booked: {refusal.message}"
            return AuditResult(model, len(booked), (said,))
        differences = _row_differences(trade.id, trade.entry, entry)
        if differences:
            return AuditResult(model, len(booked), tuple(differences))
    return AuditResult(model, len(booked), tuple(_account_differences(stored, account)))


def _row_differences(trade_id: int, stored: Entry, replayed: Entry) -> list[str]:
    pairs = {
        "gross": (stored.gross, replayed.gross),
        "pnl": (stored.pnl, replayed.pnl),
        "fee": (stored.fill.fee, replayed.fill.fee),
        "cash_after": (stored.cash_after, replayed.cash_after),
    }
    return [
        f"trade {trade_id}: {name} is {found}, its replay gives {expected}"
        for name, (found, expected) in pairs.items()
        if found != expected
    ]


def _account_differences(stored: Account, replayed: Account) -> list[str]:
    pairs: dict[str, tuple[Decimal, Decimal]] = {
        "cash": (stored.cash, replayed.cash),
        "realized_pnl": (stored.realized_pnl, replayed.realized_pnl),
        "fees_paid": (stored.fees_paid, replayed.fees_paid),
        "funding_paid": (stored.funding_paid, replayed.funding_paid),
    }
    differences = [
        f"{name} is {found}, the trades give {expected}"
        for name, (found, expected) in pairs.items()
        if found != expected
    ]
    for coin in sorted(stored.positions.keys() | replayed.positions.keys()):
        found = _booked_part(stored.positions.get(coin))
        expected = _booked_part(replayed.positions.get(coin))
        if found != expected:
            differences.append(f"position in {coin} is {found}, the trades give {expected}")
    return differences


def _booked_part(position: Position | None) -> Position | None:
    """A position without what ticks changed of it."""
    return None if position is None else position._replace(best_price=None)
