"""Which prices are believed: the rules of `price_check`, each by example."""

from decimal import Decimal

import pytest

from price_check import PriceCheck, Verdict

NOW_MS = 1_000_000


class Market:
    """Prices of one coin as they come in, at times counted in seconds."""

    def __init__(self) -> None:
        self.check = PriceCheck()
        self.now_ms = NOW_MS
        self.verdict = Verdict()

    def says(self, source: str, price: str, at: float | None = None) -> bool:
        """Whether `source`'s price is believed."""
        if at is not None:
            self.now_ms = NOW_MS + round(at * 1000)
        self.verdict = self.check.judge(source, "BTC", Decimal(price), self.now_ms)
        return self.verdict.believed

    @property
    def found(self) -> list[str]:
        return [finding.kind for finding in self.verdict.findings]

    def quarantined(self) -> list[str]:
        return [name for name in ("binance", "okx", "coingecko") if self.check.quarantined(name)]


@pytest.fixture
def market() -> Market:
    return Market()


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity", "-Infinity"])
def test_what_is_no_price_is_never_believed(market: Market, price: str):
    assert not market.says("binance", price)
    assert market.says("binance", "100")


def test_prices_that_agree_are_believed_without_a_word(market: Market):
    assert market.says("binance", "100")
    assert market.says("okx", "102")  # 2 % apart
    assert market.found == []


def test_two_that_are_apart_are_both_believed_and_told_of(market: Market):
    market.says("binance", "100")
    assert market.says("okx", "102.1")
    assert market.found == ["deviation"]
    assert "OKX" in market.verdict.findings[0].message
    assert market.says("binance", "100")
    assert market.quarantined() == []


def test_one_that_suddenly_leaves_the_other_is_held_back_for_a_second_look(market: Market):
    market.says("binance", "100", at=0)
    market.says("okx", "100", at=1)
    assert not market.says("binance", "103", at=2)
    assert (market.found, market.quarantined()) == (["deviation"], [])
    assert market.says("okx", "100.2", at=10)
    assert not market.says("binance", "103", at=11.9)
    assert market.says("binance", "103", at=12)  # nobody has said who is right


def test_held_back_it_is_the_outlier_when_a_third_says_so(market: Market):
    market.says("binance", "100", at=0)
    market.says("okx", "100", at=1)
    assert not market.says("binance", "103", at=2)
    assert market.says("coingecko", "100", at=3)
    assert market.quarantined() == ["binance"]


def test_sources_that_have_always_been_apart_are_believed(market: Market):
    for second in range(0, 40, 2):
        assert market.says("binance", "100", at=second)
        assert market.says("okx", "103", at=second + 1)


def test_a_price_of_some_seconds_ago_is_not_compared(market: Market):
    market.says("binance", "100", at=0)
    assert market.says("okx", "103", at=5.1)
    assert market.found == []


def test_the_outlier_of_three_is_left_out_until_it_agrees_again(market: Market):
    market.says("binance", "110")
    market.says("okx", "100")
    assert market.quarantined() == []
    assert market.says("coingecko", "101")  # agrees with one: the third is the outlier
    assert market.quarantined() == ["binance"]
    assert not market.says("binance", "110", at=2)
    assert market.says("okx", "100")
    assert market.found == []  # told of once
    assert market.says("binance", "100.5")
    assert market.quarantined() == []


def test_it_is_the_outlier_too_when_it_comes_last(market: Market):
    market.says("okx", "100")
    market.says("coingecko", "101")
    assert not market.says("binance", "110")
    assert (market.found, market.quarantined()) == (["deviation"], ["binance"])


def test_three_that_are_all_apart_are_only_told_of(market: Market):
    market.says("okx", "100")
    market.says("coingecko", "104")
    assert market.says("binance", "108")
    assert market.quarantined() == []


def test_a_jump_without_the_other_is_left_out(market: Market):
    market.says("binance", "100", at=0)
    market.says("okx", "100", at=1)
    assert not market.says("binance", "121", at=2)
    assert (market.found, market.quarantined()) == (["jump"], ["binance"])
    for second in range(3, 60, 2):  # also when it goes on for long
        market.says("okx", "100", at=second)
        assert not market.says("binance", "121", at=second + 1)
    assert market.says("binance", "100.5", at=60)


def test_a_jump_that_both_make_is_believed_at_the_second(market: Market):
    market.says("binance", "100", at=0)
    market.says("okx", "100", at=1)
    assert not market.says("binance", "70", at=2)
    assert market.says("okx", "70.5", at=3)
    assert market.says("binance", "70", at=4)
    assert market.quarantined() == []


def test_a_jump_with_nobody_else_is_believed_when_it_stands(market: Market):
    market.says("binance", "100", at=0)
    assert not market.says("binance", "50", at=2)
    assert market.found == ["jump"]
    assert not market.says("binance", "51", at=11.9)
    assert market.says("binance", "51", at=12)
    assert market.says("binance", "52", at=13)


def test_a_spike_with_nobody_else_is_never_believed_when_it_goes_away(market: Market):
    market.says("binance", "100", at=0)
    assert not market.says("binance", "150", at=2)
    assert market.says("binance", "101", at=4)
    assert not market.says("binance", "150", at=6)
    assert not market.says("binance", "150", at=15)  # looked at anew: 9 s
    assert market.says("binance", "150", at=16)


def test_a_spike_that_jumps_about_does_not_stand(market: Market):
    market.says("binance", "100", at=0)
    for second, price in ((2, "150"), (7, "300"), (12, "150"), (17, "400")):
        assert not market.says("binance", price, at=second)


def test_a_move_over_more_than_a_minute_is_no_jump(market: Market):
    market.says("binance", "100", at=0)
    assert market.says("binance", "130", at=60.1)


def test_a_source_that_comes_to_help_is_held_against_the_last_good_price(market: Market):
    """The first has gone, the second was not asked before: it cannot say just anything."""
    market.says("binance", "100", at=0)
    assert not market.says("okx", "150", at=6)
    assert market.says("okx", "100", at=8)


def test_in_quarantine_and_alone_it_comes_out_as_it_would_have_gone_in(market: Market):
    market.says("binance", "100", at=0)
    market.says("okx", "100", at=1)
    assert not market.says("binance", "150", at=2)
    # The other is out. Back at the last good price it is believed at once.
    assert market.says("binance", "101", at=20)
    market.says("okx", "100", at=21)
    assert not market.says("binance", "150", at=22)
    assert not market.says("binance", "150", at=30)
    assert market.says("binance", "150", at=40)


def test_coins_are_judged_apart(market: Market):
    market.says("binance", "100")
    assert market.check.judge("binance", "ETH", Decimal(1), market.now_ms).believed


def test_bounds_can_be_set():
    market = Market()
    market.check = PriceCheck(deviation_percent=10, jump_percent=50)
    market.says("binance", "100")
    assert market.says("okx", "109")
    assert market.found == []
    assert market.says("binance", "145", at=6)


def test_a_deviation_is_told_of_the_one_that_left_the_others(market: Market):
    market.says("binance", "100", at=0)
    market.says("okx", "100", at=0)
    assert not market.says("okx", "103", at=1)
    assert [(found.code, found.source) for found in market.verdict.findings] == [
        ("held_back", "okx")
    ]
    assert market.says("binance", "100", at=1.1)  # the honest one, which only sees it
    (found,) = market.verdict.findings
    assert (found.code, found.source) == ("apart", "okx")
    assert found.message == "BTC is 103.0 at OKX, but Binance 100.0 (+3.0 %)."


@pytest.mark.parametrize("order", [("okx", "binance"), ("binance", "okx")])
def test_the_outlier_is_told_of_whoever_speaks_last(market: Market, order: tuple[str, str]):
    market.says("coingecko", "103")
    for source in order:
        market.says(source, "100")
    (found,) = market.verdict.findings
    assert (found.code, found.source) == ("outlier", "coingecko")
    assert {other["source"] for other in found.values["others"]} == {"binance", "okx"}


def test_a_deviation_is_told_of_the_one_that_moved_while_there_was_no_other(market: Market):
    market.says("binance", "100", at=0)
    assert market.says("binance", "106", at=20)
    assert market.verdict.doubtful
    assert market.says("coingecko", "100", at=21)
    assert [(found.code, found.source) for found in market.verdict.findings] == [
        ("apart", "binance")
    ]
    assert market.says("binance", "100", at=22)
    assert market.found == []
    assert not market.says("coingecko", "103", at=23)  # now it is the other
    assert [(found.code, found.source) for found in market.verdict.findings] == [
        ("held_back", "coingecko")
    ]
