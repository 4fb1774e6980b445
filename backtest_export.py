"""A finished backtest as a file to keep or to send: JSON, CSV of its trades, one page of HTML.

The JSON has all that another machine needs to run it again: `flask backtest run --again FILE`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from flask import current_app, render_template
from flask_babel import get_locale, gettext
from markupsafe import Markup

from backtest_warnings import SENTENCES, ReportWarning, sentence_of, written
from errors import Conflict, DataError
from repositories.backtests import BacktestRecord
from svg_charts import BarDrawing, LineDrawing, bar_drawing, line_drawing
from timestamps import iso_utc
from version import VERSION

FORMAT = "ai-crypto-trading-system/backtest"
FORMAT_VERSION = 1
FORMATS = ("json", "csv", "html")
MEDIA_TYPES = {"json": "application/json", "csv": "text/csv", "html": "text/html"}
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
EQUITY_HEIGHT, DRAWDOWN_HEIGHT, MONTHS_HEIGHT = 300.0, 150.0, 180.0
MOST_TRADES_SHOWN = 5000
NOTHING = "–"
TRADE_COLUMNS = (
    "coin", "side", "quantity", "leverage", "entry_time", "entry_price", "exit_time", "exit_price",
    "fees", "funding", "pnl", "return_percentage", "exit_reason", "adverse_percentage",
    "favourable_percentage",
)  # fmt: skip


def exported(record: BacktestRecord, file_format: str) -> str:
    """The file's text, in the reader's language where it is for people.

    Raises Conflict (no_report) unless the run is done; `record` is one with its report.
    """
    if record.report is None:
        raise Conflict(f"Backtest {record.id} has no report.", code="no_report")
    write = {"json": as_json, "csv": as_csv, "html": as_html}[file_format]
    return write(record, record.report)


def file_name(record: BacktestRecord, file_format: str) -> str:
    """What the file is called."""
    return f"backtest-{record.id}{'-trades' if file_format == 'csv' else ''}.{file_format}"


def as_json(record: BacktestRecord, report: Mapping[str, Any]) -> str:
    """The run with its report, for programs and for running it again elsewhere."""
    content = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "version": VERSION,
        "id": record.id,
        "created_at": iso_utc(record.created_at),
        "finished_at": None if record.finished_at is None else iso_utc(record.finished_at),
        "config": record.config,
        "data_hash": record.data_hash,
        "report": report,
    }
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)


def read_exported(text: str) -> Mapping[str, Any]:
    """What `as_json` wrote: `config`, `data_hash`, `report` and more. Raises DataError."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError("This is no JSON.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError("This is no exported backtest.")
    if content.get("format_version") != FORMAT_VERSION:
        raise DataError("This exported backtest is of another version of the format.")
    if not isinstance(content.get("config"), dict) or not isinstance(content.get("report"), dict):
        raise DataError("This exported backtest lacks its configuration or its report.")
    return content


def as_csv(record: BacktestRecord, report: Mapping[str, Any]) -> str:
    """The round trips, a line each; text that a spreadsheet would run as a formula is quoted."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(TRADE_COLUMNS)
    for trade in report["trades"]:
        writer.writerow([_cell(trade.get(column)) for column in TRADE_COLUMNS])
    return text.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def as_html(record: BacktestRecord, report: Mapping[str, Any]) -> str:
    """One page that needs nothing else: no script, no address, charts as SVG in it."""
    values = report["account_values"]
    trades = report["trades"]
    return render_template(
        "backtest_export.html",
        locale=str(get_locale() or "en"),
        style=_style(),
        run=record,
        config=record.config,
        report=report,
        summary=report["summary"],
        equity=_equity(values),
        drawdown=_drawdown(values),
        months=_months(report["monthly_returns"]),
        trades=trades[-MOST_TRADES_SHOWN:],
        trades_in_all=len(trades),
        version=VERSION,
        created_at=iso_utc(record.created_at),
        money=money,
        percent=percent,
        number=number,
        term=term,
        warning_text=warning_text,
    )


def _style() -> Markup:
    """The style sheet, which stands inside the page."""
    path = Path(current_app.root_path, "static", "css", "backtest-export.css")
    return Markup(path.read_text("utf-8"))  # nosec B704 # a style sheet of ours


# ----------------------------------------------------------------------------------- charts


def _times(values: list[Mapping[str, Any]]) -> list[int]:
    return [round(datetime.fromisoformat(v["timestamp"]).timestamp() * 1000) for v in values]


def _equity(values: list[Mapping[str, Any]]) -> LineDrawing:
    lines = {
        "account": [value["total_value"] for value in values],
        "benchmark": [value["benchmark"] for value in values],
    }
    return line_drawing(_times(values), lines, EQUITY_HEIGHT, lambda value: f"${value:,.0f}")


def _drawdown(values: list[Mapping[str, Any]]) -> LineDrawing:
    lines = {"drawdown": [-value["drawdown"] for value in values]}
    return line_drawing(_times(values), lines, DRAWDOWN_HEIGHT, lambda v: f"{v:g} %", highest=0.0)


def _months(rows: list[Mapping[str, Any]]) -> BarDrawing:
    known = [(row["month"], row["return_percentage"]) for row in rows
             if row["return_percentage"] is not None]  # fmt: skip
    return bar_drawing(known, MONTHS_HEIGHT, lambda value: f"{value:g} %")


# ------------------------------------------------------------------------------------ texts


def money(amount: float | None) -> str:
    """`$1,234.50`."""
    if amount is None:
        return NOTHING
    return f"{'-' if amount < 0 else ''}${abs(amount):,.2f}"


def percent(share: float | None, sign: bool = True) -> str:
    """`+1.23 %`."""
    return NOTHING if share is None else f"{share:{'+' if sign else ''},.2f} %"


def warning_text(found: ReportWarning | str) -> str:
    """A warning in the reader's language; as it was stored where there are no words for it."""
    if isinstance(found, str) or found["code"] not in SENTENCES:
        return sentence_of(found)
    return str(gettext(SENTENCES[found["code"]], **written(found["values"])))


def number(value: float | None, digits: int = 2) -> str:
    """A number with so many decimals."""
    return NOTHING if value is None else f"{value:,.{digits}f}"


def term(value: Any) -> str:
    """A value of the configuration."""
    if isinstance(value, list):
        return (
            f"[{len(value)}]"
            if value and isinstance(value[0], dict)
            else ", ".join(map(str, value))
        )
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return NOTHING if value is None else str(value)
