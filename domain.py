"""The words of the field as immutable data. No I/O, no clock, no SDK.

Times are milliseconds since the epoch in UTC. Booked amounts (prices, quantities, money) are
`Decimal`; series that are only looked at are float64 arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
TimeArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
FIRST_MONDAY_MS = 4 * DAY_MS  # 1970-01-05: weekly bars open on Mondays


class Interval(StrEnum):
    """A bar's length. The values are those of the REST API and of Binance."""

    M1 = "1m"
    M3 = "3m"
    M5 = "5m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H2 = "2h"
    H4 = "4h"
    H6 = "6h"
    H12 = "12h"
    D1 = "1d"
    W1 = "1w"

    @property
    def milliseconds(self) -> int:
        """The length in milliseconds."""
        return _INTERVAL_MS[self]

    def floor(self, time_ms: int) -> int:
        """The open time of the bar that holds `time_ms`: all in UTC, weeks from Monday."""
        if self is Interval.W1:
            return time_ms - (time_ms - FIRST_MONDAY_MS) % WEEK_MS
        return time_ms - time_ms % self.milliseconds

    def ceil(self, time_ms: int) -> int:
        """The first open time at or after `time_ms`."""
        floor = self.floor(time_ms)
        return floor if floor == time_ms else floor + self.milliseconds


_INTERVAL_MS = {
    Interval.M1: MINUTE_MS,
    Interval.M3: 3 * MINUTE_MS,
    Interval.M5: 5 * MINUTE_MS,
    Interval.M15: 15 * MINUTE_MS,
    Interval.M30: 30 * MINUTE_MS,
    Interval.H1: HOUR_MS,
    Interval.H2: 2 * HOUR_MS,
    Interval.H4: 4 * HOUR_MS,
    Interval.H6: 6 * HOUR_MS,
    Interval.H12: 12 * HOUR_MS,
    Interval.D1: DAY_MS,
    Interval.W1: WEEK_MS,
}


class Side(StrEnum):
    """Which way a position points."""

    LONG = "long"
    SHORT = "short"

    @property
    def sign(self) -> int:
        """+1 for long, −1 for short."""
        return 1 if self is _LONG else -1


_LONG = Side.LONG  # a member looked up through its class takes several times as long


class Signal(StrEnum):
    """What a trader may say about a coin."""

    BUY_TO_ENTER = "buy_to_enter"
    SELL_TO_ENTER = "sell_to_enter"
    HOLD = "hold"
    CLOSE_POSITION = "close_position"


class FillKind(StrEnum):
    """What a ledger entry does to a position."""

    OPEN = "open"
    CLOSE = "close"
    LIQUIDATION = "liquidation"
    FUNDING = "funding"


class Reason(StrEnum):
    """Why a fill happened."""

    SIGNAL = "signal"
    STOP_LOSS = "stop_loss"
    PROFIT_TARGET = "profit_target"
    TRAILING_STOP = "trailing_stop"
    INVALIDATION = "invalidation"
    LIQUIDATION = "liquidation"
    FUNDING = "funding"
    FLATTEN = "flatten"


# ------------------------------------------------------------------------------------ market


@dataclass(frozen=True, slots=True)
class Kline:
    """One bar. `closed` is false while it may still change."""

    open_time: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    closed: bool = True


@dataclass(frozen=True, slots=True)
class KlineSeries:
    """Bars of one coin as columns: ascending, no duplicates, shape (n,) each.

    Prices are float64 and lose nothing: any decimal text of up to 15 significant digits comes
    back from `repr(float)` as it was, and longer ones are refused where they are read.
    """

    interval: Interval
    open_time: TimeArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    source: str = ""
    last_is_open: bool = False

    @classmethod
    def empty(cls, interval: Interval, source: str = "") -> KlineSeries:
        """A series without bars."""
        none = np.empty(0, dtype=np.float64)
        times = np.empty(0, dtype=np.int64)
        return cls(interval, times, none, none, none, none, none, source)

    @classmethod
    def from_klines(
        cls, klines: Sequence[Kline], interval: Interval, source: str = ""
    ) -> KlineSeries:
        """Columns of `klines`, which must be ascending."""
        if not klines:
            return cls.empty(interval, source)
        return cls(
            interval,
            np.array([k.open_time for k in klines], dtype=np.int64),
            np.array([k.open for k in klines], dtype=np.float64),
            np.array([k.high for k in klines], dtype=np.float64),
            np.array([k.low for k in klines], dtype=np.float64),
            np.array([k.close for k in klines], dtype=np.float64),
            np.array([k.volume for k in klines], dtype=np.float64),
            source,
            not klines[-1].closed,
        )

    def __len__(self) -> int:
        return len(self.open_time)

    def __iter__(self) -> Iterator[Kline]:
        return (self.bar(i) for i in range(len(self)))

    def bar(self, index: int) -> Kline:
        """The bar at `index` (negative counts from the end)."""
        last = index in (-1, len(self) - 1)
        return Kline(
            int(self.open_time[index]),
            float(self.open[index]),
            float(self.high[index]),
            float(self.low[index]),
            float(self.close[index]),
            float(self.volume[index]),
            closed=not (last and self.last_is_open),
        )

    def slice(self, start: int, stop: int) -> KlineSeries:
        """Bars start ≤ i < stop, as views on the same memory."""
        stop = min(stop, len(self))
        return KlineSeries(
            self.interval,
            self.open_time[start:stop],
            self.open[start:stop],
            self.high[start:stop],
            self.low[start:stop],
            self.close[start:stop],
            self.volume[start:stop],
            self.source,
            self.last_is_open and stop == len(self),
        )

    def followed_by(self, later: KlineSeries) -> KlineSeries:
        """These bars and then `later` ones, which must begin after them."""
        if not len(later):
            return self
        return KlineSeries(
            self.interval,
            np.concatenate((self.open_time, later.open_time)),
            np.concatenate((self.open, later.open)),
            np.concatenate((self.high, later.high)),
            np.concatenate((self.low, later.low)),
            np.concatenate((self.close, later.close)),
            np.concatenate((self.volume, later.volume)),
            self.source,
            later.last_is_open,
        )

    def between(self, start_ms: int, end_ms: int) -> KlineSeries:
        """Bars with start_ms ≤ open_time < end_ms."""
        first, last = np.searchsorted(self.open_time, [start_ms, end_ms])
        return self.slice(int(first), int(last))

    def closed(self) -> KlineSeries:
        """The series without its open bar."""
        return self.slice(0, len(self) - 1) if self.last_is_open else self


@dataclass(frozen=True, slots=True)
class Ticker:
    """A coin's latest price, exact, with where and when it comes from."""

    symbol: str
    price: Decimal
    time_ms: int
    source: str
    change_24h: float | None = None
    stale: bool = False


@dataclass(frozen=True, slots=True)
class OrderBook:
    """Depth: (price, quantity) pairs, best first on both sides."""

    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]
    source: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class Instrument:
    """A venue's trading rules for one symbol."""

    lot_size: Decimal
    min_notional: Decimal
    tick_size: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class VenueInstrument:
    """A pair that a venue lists: what is traded for what, whether now, and by which rules."""

    symbol: str
    base: str
    quote: str
    is_trading: bool
    instrument: Instrument


@dataclass(frozen=True, slots=True)
class Coin:
    """A row of the coins table."""

    id: int
    symbol: str
    name: str
    category: str | None = None
    is_active: bool = True
    binance_symbol: str | None = None
    okx_symbol: str | None = None
    coingecko_id: str | None = None
    market_cap_rank: int | None = None
    notes: str | None = None
    created_at: int = 0
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class TradingModel:
    """A row of the models table: a trader with its account's terms. Its id is 0 until stored."""

    name: str
    trader: str
    initial_capital: Decimal
    interval: Interval
    cycle_minutes: int
    risk: str
    params: Mapping[str, Any] = field(default_factory=dict)
    provider_id: int | None = None
    model_name: str | None = None
    prompt: str | None = None
    enabled: bool = True
    replica_of: int | None = None  # the model whose second, third … account this is
    replica_number: int = 1
    id: int = 0
    archived_at: int | None = None
    created_at: int = 0
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """What a provider charges for a million tokens; None where it is not known."""

    input: Decimal | None = None
    output: Decimal | None = None
    cached: Decimal | None = None  # of the input that the provider had in its cache


@dataclass(frozen=True, slots=True)
class LLMProvider:
    """An OpenAI-compatible endpoint with its key in the clear: made for a call, never stored.

    `prices` and `knowledge_cutoff` (an ISO date) are by the model's name.
    """

    id: int
    name: str
    api_url: str
    api_key: str = field(repr=False)
    models: tuple[str, ...] = ()
    prices: Mapping[str, TokenPrices] = field(default_factory=dict)
    knowledge_cutoff: Mapping[str, str] = field(default_factory=dict)


# ---------------------------------------------------------------------------------- decisions


class Comparison(StrEnum):
    """How a price is compared with a level."""

    BELOW = "<"
    AT_OR_BELOW = "<="
    ABOVE = ">"
    AT_OR_ABOVE = ">="

    def holds(self, price: Decimal, level: Decimal) -> bool:
        """Whether `price` compares so with `level`."""
        match self:
            case Comparison.BELOW:
                return price < level
            case Comparison.AT_OR_BELOW:
                return price <= level
            case Comparison.ABOVE:
                return price > level
            case Comparison.AT_OR_ABOVE:
                return price >= level


@dataclass(frozen=True, slots=True)
class PriceCondition:
    """A condition on a price that can be checked, such as `close_1h < 61200`.

    With an `interval` it is tested on the close of each closed bar of that length, without one
    on every price.
    """

    interval: Interval | None
    operator: Comparison
    level: Decimal

    def __str__(self) -> str:
        name = "price" if self.interval is None else f"close_{self.interval}"
        return f"{name} {self.operator} {self.level:f}"

    def holds(self, price: Decimal) -> bool:
        """Whether `price` (a close, or a tick) meets it."""
        return self.operator.holds(price, self.level)


@dataclass(frozen=True, slots=True)
class Decision:
    """A trader's answer for one coin.

    The size of an entry is one of `quantity` (coin units), `notional` (quote currency) or
    `weight` (share of equity that margin and fee take together); it is resolved at the fill.
    A close without `quantity` closes the whole position.
    """

    signal: Signal
    quantity: Decimal | None = None
    notional: Decimal | None = None
    weight: Decimal | None = None
    leverage: Decimal = Decimal(1)
    profit_target: Decimal | None = None
    stop_loss: Decimal | None = None
    trailing_stop_pct: Decimal | None = None
    confidence: float | None = None
    justification: str = ""
    invalidation: str = ""
    invalidation_condition: PriceCondition | None = None

    @property
    def side(self) -> Side | None:
        """The side that an entry opens; none for hold and close."""
        return _SIDES.get(self.signal)


_SIDES = {Signal.BUY_TO_ENTER: Side.LONG, Signal.SELL_TO_ENTER: Side.SHORT}


@dataclass(frozen=True, slots=True)
class CoinMarket:
    """What a trader is shown of one coin: the price now, and the closed bars up to now."""

    price: Decimal
    klines: KlineSeries
    change_24h: float | None = None
    source: str = ""
    age_seconds: float = 0.0
    stale: bool = False
    pool_share: float | None = None  # its weight over those of the pool's coins
    other_klines: Mapping[Interval, KlineSeries] = field(default_factory=dict)  # closed bars


@dataclass(frozen=True, slots=True)
class Exits:
    """Prices and shares at which a position closes without its trader being asked."""

    stop_loss: Decimal | None = None
    profit_target: Decimal | None = None
    trailing_stop_pct: Decimal | None = None
    invalidation: PriceCondition | None = None


NO_EXITS = Exits()


class Position(NamedTuple):
    """An open position with the exact cost it was built at.

    `cost` is Σ q·p over its entries; `margin` the collateral it holds; `entry_fees` and
    `funding` what has been paid for what is still open.
    """

    coin: str
    side: Side
    quantity: Decimal
    cost: Decimal
    margin: Decimal
    entry_fees: Decimal
    opened_at: int
    funding: Decimal = Decimal(0)
    exits: Exits = NO_EXITS
    best_price: Decimal | None = None  # furthest price in favour since entry, for trailing stops

    @property
    def entry_price(self) -> Decimal:
        """The volume-weighted entry price."""
        return self.cost / self.quantity

    @property
    def leverage(self) -> Decimal:
        """Notional at entry over margin; 0 margin (all eaten by funding) gives 0."""
        return self.cost / self.margin if self.margin else Decimal(0)


class Fill(NamedTuple):
    """What happened at a venue, before it is booked.

    For FUNDING, `price` is the mark and `fee` the amount paid (negative when received).
    """

    kind: FillKind
    coin: str
    side: Side
    quantity: Decimal
    price: Decimal
    time_ms: int
    leverage: Decimal = Decimal(1)
    fee: Decimal = Decimal(0)
    reason: Reason = Reason.SIGNAL
    exits: Exits = NO_EXITS
    decision_id: int | None = None


class Entry(NamedTuple):
    """A booked fill: the ledger's append-only line, with what it did to the account.

    `gross` is the profit before fees of a close; `pnl` the round trip's result, net of the
    entry's fee, this fee and funding; both are zero for an open.
    """

    fill: Fill
    gross: Decimal
    pnl: Decimal
    cash_after: Decimal


class Portfolio(NamedTuple):
    """An account valued at marks: `total_value = cash + positions_value`, always."""

    cash: Decimal
    positions: Mapping[str, Position]
    positions_value: Decimal
    total_value: Decimal
    margin_used: Decimal
    unrealized_pnl: Decimal
    marks: Mapping[str, Decimal] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """What a trader is told about its account besides the portfolio."""

    time_ms: int
    started_ms: int  # when the account, or the backtest's range, began
    initial_capital: Decimal
    total_return: float  # in percent
    previous_time_ms: int | None = None  # when this trader was last asked
    recent_trades: Sequence[Entry] = ()  # newest last


MarketState = Mapping[str, CoinMarket]
Decisions = Mapping[str, "Decision | Sequence[Decision]"]


class Trader(Protocol):
    """Answers one question; live and backtest call the same object."""

    @property
    def history_bars(self) -> int:
        """How many closed bars it wants to see of each coin."""

    def make_decision(
        self, market_state: MarketState, portfolio: Portfolio, account_info: AccountInfo
    ) -> Decisions:
        """Decisions keyed by coin; a coin left out is held."""


def other_intervals(trader: Trader) -> tuple[Interval, ...]:
    """The intervals besides its own that a trader also wants to see (`other_klines`)."""
    return tuple(getattr(trader, "other_intervals", ()))


JsonSchema = dict[str, Any]


class Clock(Protocol):
    """Where the time comes from: the wall, an accelerated market, or a test's hand."""

    def now_ms(self) -> int:
        """The time now, in milliseconds UTC."""

    def wall_seconds_until(self, time_ms: int) -> float:
        """Seconds of real time until this clock shows `time_ms`; 0 when it has passed."""
