"""`flask klines …`: taking candles in, looking at what there is, and moving the old ones out."""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup
from tqdm import tqdm

from domain import Coin, Interval
from errors import TradingSystemError
from kline_archiver import KlineArchiver, archive_root
from kline_export import FORMATS, export
from kline_import import ENDINGS, candle_files, download, import_file, is_url
from kline_store import KlineStore
from kline_sync import KlineSync
from repositories import coins
from repositories.klines import LATEST_MS
from routes.services import Services, services
from timestamps import iso_utc, parse_time_ms

MOST_GAPS_SHOWN = 50  # of one series

kline_commands = AppGroup("klines", help="Stored candles: import, sync, export, gaps, archive.")


class TimeArgument(click.ParamType[int]):
    """A date or an ISO 8601 time, in UTC unless it says otherwise; milliseconds."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Raises click.BadParameter."""
        if isinstance(value, int):
            return value
        try:
            return parse_time_ms(value)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no date like 2024-01-31", param, ctx)


TIME = TimeArgument()
INTERVAL = click.Choice([interval.value for interval in Interval])


@contextmanager
def _one_sentence() -> Iterator[None]:
    """What goes wrong is said in one sentence, and the status is 1."""
    try:
        yield
    except TradingSystemError as error:
        raise click.ClickException(error.message) from error
    except sqlite3.Error as error:  # locked, or the disk is full
        raise click.ClickException(f"The database cannot be used now: {error}.") from error


def _ready() -> tuple[Services, KlineStore]:
    """The services, their database up to date."""
    app = services()
    with _one_sentence():
        app.database.upgrade()
    return app, KlineStore(app.database)


def _coin(app: Services, symbol: str) -> Coin:
    with _one_sentence():
        return coins.get(app.database.connection, symbol)


def _coins(app: Services, symbols: str) -> list[Coin]:
    """Coins of a list by commas."""
    names = [name.strip() for name in symbols.split(",") if name.strip()]
    return [_coin(app, name) for name in dict.fromkeys(names)]


# ------------------------------------------------------------------------------------ import


@kline_commands.command("import")
@click.argument("places", nargs=-1, required=True, metavar="FILE|FOLDER|URL…")
def import_klines(places: tuple[str, ...]) -> None:
    """Take candles from files in Binance's archive format, from folders of them, or from URLs."""
    for place in places:
        if not is_url(place) and not Path(place).exists():
            raise click.BadParameter(f"{place!r} does not exist.")
    found = [file for place in places for file in _files(place)]
    if not found:
        raise click.ClickException(f"There are no candle files ({', '.join(ENDINGS)}) there.")
    app, store = _ready()
    failed = 0
    for place in tqdm(found, unit="file", disable=None):
        try:
            with _one_sentence():
                tqdm.write(_import_one(app, store, place))
        except click.ClickException as error:
            failed += 1
            tqdm.write(f"Error: {error.message}", file=sys.stderr)
    if failed:
        click.echo(f"Nothing was taken of {failed} files.", err=True)
        sys.exit(1)


def _files(place: str) -> list[str]:
    return [place] if is_url(place) else [str(path) for path in candle_files(Path(place))]


def _import_one(app: Services, store: KlineStore, place: str) -> str:
    """Take one file; the sentence to say."""
    with tempfile.TemporaryDirectory(prefix="klines-") as folder:
        path = download(place, Path(folder)) if is_url(place) else Path(place)
        archived = import_file(app.database, store, path)
    return f"{path.name}: {len(archived.series):,} candles of {archived.symbol}"


# -------------------------------------------------------------------------------------- sync


@kline_commands.command("sync")
@click.option("--coins", "symbols", required=True, help="Like BTC,ETH")
@click.option("--interval", type=INTERVAL, required=True)
@click.option("--start", type=TIME, required=True, help="First open time, like 2024-01-01")
@click.option("--end", type=TIME, help="Open times before this; now by default")
def sync_klines(symbols: str, interval: str, start: int, end: int | None) -> None:
    """Fetch what is missing of a range; a second call goes on where the first one stopped."""
    app, store = _ready()
    chosen, step = _coins(app, symbols), Interval(interval)
    syncing = KlineSync(app.database, app.data_aggregator)
    stop = app.clock.now_ms() if end is None else end
    failed = 0
    with _one_sentence():
        bars = syncing.bars(step, start, stop)
        with tqdm(total=bars * len(chosen), unit="bar", unit_scale=True, disable=None) as bar:
            for coin in chosen:
                synced = syncing.sync(coin, step, start, stop, bar.update, time.sleep)
                failed += synced.failure is not None
                tqdm.write(_said_of(store, coin, step, synced.source))
                if synced.failure is not None:
                    words = f"{synced.unanswered_bars:,} bars of {coin.symbol} could not be had: "
                    tqdm.write(f"Error: {words}{synced.failure.message}", file=sys.stderr)
    if failed:
        click.echo("Run the same command again to go on.", err=True)
        sys.exit(1)


def _said_of(store: KlineStore, coin: Coin, interval: Interval, source: str) -> str:
    """What is stored of a series, with its gaps."""
    stored = store.coverage(coin, source, interval)
    if stored is None:
        return f"{coin.symbol} {interval}: nothing is stored of {source}"
    words = f"{coin.symbol} {interval}: {stored.bars:,} candles from {source}, "
    words += f"{iso_utc(stored.first)} to {iso_utc(stored.last)}"
    gaps = store.gaps(coin, source, interval) if stored.missing_bars else []
    return words + (f", {len(gaps)} gaps of {stored.missing_bars:,} bars" if gaps else "")


# ------------------------------------------------------------------------------ export, gaps


@kline_commands.command("export")
@click.argument("coin")
@click.option("--interval", type=INTERVAL, required=True)
@click.option("--start", type=TIME, default=0, help="First open time; the first that is stored")
@click.option("--end", type=TIME, default=LATEST_MS, help="Open times before this; all by default")
@click.option("--source", help="The first choice of DATA_SOURCE_PRIORITY by default")
@click.option("--format", "ending", type=click.Choice(FORMATS), default="csv", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False))
def export_klines(
    coin: str, interval: str, start: int, end: int, source: str | None, ending: str,
    output: Path | None,
) -> None:  # fmt: skip
    """Write stored candles of COIN to a file, COIN-INTERVAL.csv or .parquet unless it is named."""
    app, store = _ready()
    chosen = _coin(app, coin)
    target = output or Path(f"{chosen.symbol}-{interval}.{ending}")
    if target.suffix != f".{ending}":
        raise click.BadParameter(f"{target} must end in .{ending}.")
    if target.exists():
        raise click.ClickException(f"{target} is there already.")
    source = source or app.data_aggregator.kline_source_name()
    with _one_sentence(), tqdm(unit="bar", unit_scale=True, disable=None, leave=False) as bar:
        bars = export(store, chosen, source, Interval(interval), start, end, target, bar.update)
    click.echo(f"{target}: {bars:,} candles of {chosen.symbol}")


@kline_commands.command("gaps")
@click.option("--coins", "symbols", help="Like BTC,ETH; all by default")
@click.option("--interval", type=INTERVAL, help="All by default")
def list_gaps(symbols: str | None, interval: str | None) -> None:
    """Show the bars that are missing between those that are stored."""
    app, store = _ready()
    chosen = None if symbols is None else {coin.id for coin in _coins(app, symbols)}
    by_id = {c.id: c for c in coins.list_coins(app.database.connection, is_active=None)}
    total = 0
    with _one_sentence():
        for key in store.series_keys():
            if (chosen is None or key.coin_id in chosen) and interval in (None, key.interval):
                total += _show_gaps(store, by_id[key.coin_id], key.source, key.interval)
    if not total:
        click.echo("There are no gaps.")


def _show_gaps(store: KlineStore, coin: Coin, source: str, interval: Interval) -> int:
    """A line for each gap of a series; how many there are."""
    gaps = store.gaps(coin, source, interval)
    for gap in gaps[:MOST_GAPS_SHOWN]:
        last = iso_utc(gap.end_ms - interval.milliseconds)
        why = f"{source} has none" if gap.asked else "never asked for"
        click.echo(
            f"{coin.symbol} {interval} {source}: {iso_utc(gap.start_ms)} to {last}, "
            f"{gap.bars:,} bars, {why}"
        )
    if len(gaps) > MOST_GAPS_SHOWN:
        click.echo(f"{coin.symbol} {interval} {source}: {len(gaps) - MOST_GAPS_SHOWN} more gaps")
    return len(gaps)


# ----------------------------------------------------------------------------------- archive


@kline_commands.command("archive")
@click.option("--before", type=TIME, required=True, help="Months that ended by then")
@click.option("--coins", "symbols", help="Like BTC,ETH; all by default")
@click.option("--interval", type=INTERVAL, help="All by default")
def archive_klines(before: int, symbols: str | None, interval: str | None) -> None:
    """Move closed months to Parquet files at KLINE_ARCHIVE_URL; reads go on as before."""
    app, store = _ready()
    chosen = None if symbols is None else {coin.symbol for coin in _coins(app, symbols)}
    root = archive_root(app.config.KLINE_ARCHIVE_URL, app.database)
    archiver = KlineArchiver(app.database, store, root)
    moved = 0
    with _one_sentence():
        archiver.clean()
        months = list(archiver.months(before, chosen, interval))
        for month in tqdm(months, unit="month", disable=None):
            moved += archiver.archive(month)
        click.echo(f"{moved:,} candles of {len(months)} months have moved to {root}.")
        before_bytes, after_bytes = app.database.shrink()
    click.echo(f"The database had {before_bytes:,} bytes and has {after_bytes:,}.")
