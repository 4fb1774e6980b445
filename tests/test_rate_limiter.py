"""The limits of a source: by weight, for all threads, and to the second when it asks for silence."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from scripted_venue import ScriptedVenue

from binance_fetcher import BinanceDataFetcher, weight_limiter
from clock import ManualClock
from errors import SourceError, SourceRateLimited, SourceUnavailable
from okx_fetcher import OKXDataFetcher, endpoint_limiter
from rate_limiter import BUDGET_USED, BudgetUse, Limit, RateLimiter
from time_budget import TimeBudget, for_history

MINUTE_LIMIT = {"weight": Limit(100, 60.0, margin_seconds=0)}
NOW_MS = 1_717_245_296_789


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """A clock that whoever waits moves on by waiting."""
    clock = ManualClock(NOW_MS)
    monkeypatch.setattr(
        "rate_limiter.sleep", lambda seconds: clock.set(clock.now_ms() + round(seconds * 1000))
    )
    return clock


@pytest.fixture
def limiter(clock: ManualClock) -> RateLimiter:
    return RateLimiter("The venue", MINUTE_LIMIT, clock)


@pytest.fixture
def live() -> Iterator[None]:
    """Ask as one who can go to another source."""
    with TimeBudget(5).share(2):
        yield


def used(limiter: RateLimiter) -> int:
    (budget,) = limiter.budgets()
    return budget.used


@pytest.mark.usefixtures("live")
def test_a_live_question_that_would_go_over_is_refused_at_once(
    limiter: RateLimiter, clock: ManualClock
):
    limiter.take("weight", 60)
    clock.set(NOW_MS + 10_000)
    limiter.take("weight", 40)
    with pytest.raises(SourceRateLimited, match="The venue's limit") as refused:
        limiter.take("weight", 1)
    assert refused.value.code == BUDGET_USED
    assert refused.value.retry_after == pytest.approx(50, abs=0.01)
    assert limiter.budgets() == [BudgetUse("weight", 100, 100, 60)]
    clock.set(NOW_MS + 60_001)
    limiter.take("weight", 60)
    assert used(limiter) == 100


def test_history_waits_for_its_turn_and_leaves_a_quarter_to_live_questions(
    limiter: RateLimiter, clock: ManualClock
):
    with for_history(300):
        for _ in range(8):
            limiter.take("weight", 10)
    assert clock.now_ms() - NOW_MS == pytest.approx(60_000, abs=5)  # the eighth waited
    with TimeBudget(5).share(2):
        limiter.take("weight", 25)


def test_history_gives_up_when_its_turn_comes_too_late(limiter: RateLimiter):
    with for_history(30):
        limiter.take("weight", 75)
        with pytest.raises(SourceRateLimited, match="limit of requests"):
            limiter.take("weight", 1)


def test_the_last_source_that_can_be_asked_is_waited_for(limiter: RateLimiter, clock: ManualClock):
    limiter.take("weight", 100)
    clock.set(NOW_MS + 58_000)
    with TimeBudget(5).share(1):
        limiter.take("weight", 10)
    assert clock.now_ms() > NOW_MS + 60_000


def test_whom_nobody_waits_for_any_more_asks_no_more(limiter: RateLimiter):
    with TimeBudget(0).share(1), pytest.raises(SourceUnavailable, match="nobody waits"):
        limiter.take("weight", 1)


def test_a_weight_above_the_whole_limit_is_the_whole_limit(limiter: RateLimiter):
    limiter.take("weight", 500)
    assert used(limiter) == 100


@pytest.mark.usefixtures("live")
def test_what_others_at_this_address_use_is_counted(limiter: RateLimiter):
    limiter.take("weight", 10)
    limiter.observe("weight", 8)  # an answer to an earlier question
    assert used(limiter) == 10
    limiter.observe("weight", 70)
    assert used(limiter) == 70
    limiter.observe("weight", 6000)
    with pytest.raises(SourceRateLimited):
        limiter.take("weight", 1)


@pytest.mark.usefixtures("live")
def test_silence_at_one_endpoint_is_kept_to_the_millisecond(clock: ManualClock):
    limiter = RateLimiter("V", {"a": Limit(9, 2), "b": Limit(9, 2)}, clock)
    limiter.pause("a", 17)
    limiter.take("b")
    clock.set(NOW_MS + 16_999)
    with pytest.raises(SourceRateLimited):
        limiter.take("a")
    clock.set(NOW_MS + 17_000)
    limiter.take("a")


def test_fifty_threads_share_a_limit(limiter: RateLimiter):
    def take(_: int) -> bool:
        with TimeBudget(5).share(2):
            try:
                limiter.take("weight", 3)
            except SourceRateLimited:
                return False
        return True

    with ThreadPoolExecutor(50) as threads:
        assert sum(threads.map(take, range(100))) == 33
    assert used(limiter) == 99


# ------------------------------------------------------------------------- through the fetchers


def told(fetcher: BinanceDataFetcher) -> SourceError:
    with pytest.raises(SourceError) as refused:
        fetcher.price("BTCUSDT")
    return refused.value


@pytest.mark.parametrize(
    ("status", "headers", "words", "seconds", "code"),
    [
        (429, {"Retry_After": "17"}, "slow down", 17, "source_rate_limited"),
        (418, {"Retry_After": "120"}, "banned", 120, "source_banned"),
        (429, {}, "slow down", 60, "source_rate_limited"),  # to the next window
    ],
)
@pytest.mark.usefixtures("live")
def test_binance_is_not_asked_before_the_second_that_it_names(
    venue: ScriptedVenue, clock: ManualClock,
    status: int, headers: dict[str, str], words: str, seconds: int, code: str,
):  # fmt: skip
    fetcher = BinanceDataFetcher(
        base_url=venue.url, clock=clock, limiter=weight_limiter(5400, clock)
    )
    venue.says({"code": -1003, "msg": words}, status, **headers)
    assert told(fetcher).code == code
    clock.set(NOW_MS + seconds * 1000 - 1)
    assert told(fetcher).code == BUDGET_USED
    assert len(venue.paths) == 1
    clock.set(NOW_MS + seconds * 1000)
    assert told(fetcher).code == code
    assert len(venue.paths) == 2


def test_a_ban_that_names_its_end_lasts_until_then(
    venue: ScriptedVenue, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("binance_fetcher.time.time_ns", lambda: 1_573_672_500_000 * 1_000_000)
    words = "Way too many requests; IP(1.2.3.4) banned until 1573672589000. Please use websocket."
    venue.says({"code": -1003, "msg": words}, 418)
    error = told(BinanceDataFetcher(base_url=venue.url, clock=clock))
    assert isinstance(error, SourceRateLimited)
    assert (error.retry_after, error.code) == (89, "source_banned")


@pytest.mark.usefixtures("live")
def test_binances_own_count_fills_the_budget(venue: ScriptedVenue, clock: ManualClock):
    limiter = weight_limiter(5400, clock)
    fetcher = BinanceDataFetcher(base_url=venue.url, clock=clock, limiter=limiter)
    venue.says({"code": -1121, "msg": "Invalid symbol."}, 400, X_MBX_USED_WEIGHT_1M="4000")
    told(fetcher)
    assert used(limiter) == 4000


def test_okx_histories_of_many_pages_pass_at_its_own_pace(venue: ScriptedVenue, clock: ManualClock):
    limiter = endpoint_limiter(20, clock)
    fetcher = OKXDataFetcher(domain=venue.url, clock=clock, limiter=limiter)
    venue.says({"code": "0", "msg": "", "data": [{"instId": "BTC-USDT", "last": "1", "ts": "1"}]})
    with for_history(300):
        for _ in range(45):
            fetcher.price("BTC-USDT")
    # Fifteen in two seconds: three quarters of what the venue allows.
    assert clock.now_ms() - NOW_MS == pytest.approx(2 * 2250, abs=10)
    assert len(venue.paths) == 45
