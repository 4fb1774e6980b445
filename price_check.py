"""Whether a price may be believed: held against those of the other sources and the last good one.

The rules, for a price of one coin from one source (prices in USDT, ages by the wall clock):

1. It is a positive, finite number.
2. Other sources' prices of the last seconds are *at hand*. Two prices *agree* when they are apart
   by no more than the deviation (2 %). What agrees with one at hand is believed.
3. Of three at hand of which two agree, the third is the outlier: quarantined.
4. What has jumped (by more than 20 % from the last believed price of the last minute) is
   quarantined when another source is at hand, for none of them agrees.
5. With no other source at hand, a jump is held back until a second look, some seconds later,
   finds the source still there: a price that stands is taken for the market's.
6. A source that has suddenly left those at hand, by more than the deviation, is held back too
   until a second look: until then a third may have said who is right.
7. What is in quarantine stays there until it agrees with another source, or with the last
   believed price; where no other source is at hand, rule 5 lets it out.
8. Anything else is believed. Where it is apart from one at hand, that is told: of the one that
   is held back or has moved while there was no other, else of the one that has just spoken.

Pure: times are given, and nobody is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from data_findings import Finding, apart, held_to

AT_HAND_MS = 5_000
JUMP_MEMORY_MS = 60_000
SECOND_LOOK_MS = 10_000

SourceCoin = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Seen:
    """A price, and the wall time at which it was received."""

    price: Decimal
    at_ms: int


@dataclass(slots=True)
class Verdict:
    """Whether a price is believed, and what was found.

    `doubtful`: it has moved far at once, and there is no other to compare it with.
    """

    believed: bool = True
    doubtful: bool = False
    findings: list[Finding] = field(default_factory=list)


class PriceCheck:
    """Remembers what each source said of each coin last. For one thread at a time."""

    def __init__(self, deviation_percent: float = 2.0, jump_percent: float = 20.0):
        self._deviation = Decimal(str(deviation_percent)) / 100
        self._jump = Decimal(str(jump_percent)) / 100
        self._seen: dict[SourceCoin, Seen] = {}
        self._by_coin: dict[str, set[str]] = {}  # the sources that have said anything of it
        self._believed: dict[str, Seen] = {}
        self._believed_of: dict[SourceCoin, Seen] = {}
        self._quarantined: set[SourceCoin] = set()
        self._candidates: dict[SourceCoin, Seen] = {}
        self._moved: set[SourceCoin] = set()  # those that went far while there was no other

    def quarantined(self, source: str) -> list[str]:
        """The coins whose prices of this source are not believed."""
        return sorted(coin for name, coin in list(self._quarantined) if name == source)

    def is_quarantined(self, source: str, coin: str) -> bool:
        """Whether this source's prices of the coin are not believed."""
        return (source, coin) in self._quarantined

    def judge(self, source: str, coin: str, price: Decimal, now_ms: int) -> Verdict:
        """Whether this price is believed; it is remembered either way."""
        if not price.is_finite() or price <= 0:
            return Verdict(believed=False)
        others = self._at_hand(source, coin, now_ms)
        self._seen[source, coin] = Seen(price, now_ms)
        self._by_coin.setdefault(coin, set()).add(source)
        verdict = self._verdict(source, coin, price, others, now_ms)
        if verdict.believed:
            self._believed[coin] = self._believed_of[source, coin] = Seen(price, now_ms)
            self._candidates.pop((source, coin), None)
        return verdict

    def _verdict(
        self, source: str, coin: str, price: Decimal, others: Mapping[str, Decimal], now_ms: int
    ) -> Verdict:
        if any(self._agree(price, other) for other in others.values()):
            return self._agreed(source, coin, price, others)
        trusted = {
            name: other for name, other in others.items() if (name, coin) not in self._quarantined
        }
        if (source, coin) in self._quarantined:
            return self._in_quarantine(source, coin, price, trusted, now_ms)
        reference = _recent(self._believed.get(coin), now_ms)
        if reference is not None and abs(price / reference - 1) > self._jump:
            return self._jumped(source, coin, price, reference, trusted, now_ms)
        if len(trusted) > 1 and self._all_agree(trusted.values()):
            self._quarantined.add((source, coin))
            return Verdict(
                believed=False, findings=[apart("outlier", source, coin, price, trusted)]
            )
        own = _recent(self._believed_of.get((source, coin)), now_ms)
        has_moved = own is not None and not self._agree(price, own)
        if trusted and has_moved and not self._stands(source, coin, price, now_ms):
            held = apart("held_back", source, coin, price, trusted)
            return Verdict(believed=False, findings=[held])
        if has_moved and not trusted:
            self._moved.add((source, coin))
        found = self._apart(source, coin, price, trusted)
        return Verdict(doubtful=has_moved and not trusted, findings=found)

    def _agreed(
        self, source: str, coin: str, price: Decimal, others: Mapping[str, Decimal]
    ) -> Verdict:
        """Believed; a third that is apart from the two is the outlier."""
        self._quarantined.discard((source, coin))
        self._moved.discard((source, coin))
        said, found = {source: price, **others}, []
        for name, other in others.items():
            if not self._agree(price, other) and (name, coin) not in self._quarantined:
                self._quarantined.add((name, coin))
                rest = {each: at for each, at in said.items() if not self._agree(at, other)}
                found.append(apart("outlier", name, coin, other, rest))
        return Verdict(findings=found)

    def _in_quarantine(
        self, source: str, coin: str, price: Decimal, trusted: Mapping[str, Decimal], now_ms: int
    ) -> Verdict:
        """Out again with the last believed price, or by a second look where there is no other."""
        reference = _recent(self._believed.get(coin), now_ms)
        returned = not trusted and reference is not None and self._agree(price, reference)
        if returned or (not trusted and self._stands(source, coin, price, now_ms)):
            self._quarantined.discard((source, coin))
            return Verdict()
        return Verdict(believed=False)

    def _jumped(
        self,
        source: str,
        coin: str,
        price: Decimal,
        reference: Decimal,
        trusted: Mapping[str, Decimal],
        now_ms: int,
    ) -> Verdict:
        values: dict[str, Any] = {
            "price": float(price),
            "before": float(reference),
            "percent": round(float(price / reference - 1) * 100, 1),
        }
        if trusted:
            self._quarantined.add((source, coin))
            values["others"] = held_to(price, trusted)
            found = Finding("jumped_alone", source, coin, values)
            return Verdict(believed=False, findings=[found])
        if self._stands(source, coin, price, now_ms):
            return Verdict()
        found = Finding("jump_held", source, coin, values)
        return Verdict(believed=False, findings=[found])

    def _stands(self, source: str, coin: str, price: Decimal, now_ms: int) -> bool:
        """Whether a price that was held back has stood long enough, or is looked at anew."""
        candidate = self._candidates.get((source, coin))
        if candidate is None or abs(price / candidate.price - 1) > self._jump:
            self._candidates[source, coin] = Seen(price, now_ms)
            return False
        return now_ms - candidate.at_ms >= SECOND_LOOK_MS

    def _at_hand(self, source: str, coin: str, now_ms: int) -> dict[str, Decimal]:
        """What other sources said of the coin within the last seconds."""
        found = {}
        for name in self._by_coin.get(coin, ()):
            seen = self._seen[name, coin]
            if name != source and 0 <= now_ms - seen.at_ms <= AT_HAND_MS:
                found[name] = seen.price
        return found

    def _agree(self, one: Decimal, other: Decimal) -> bool:
        return abs(one - other) <= self._deviation * min(one, other)

    def _all_agree(self, prices: Iterable[Decimal]) -> bool:
        ordered = sorted(prices)
        return self._agree(ordered[0], ordered[-1])

    def _apart(
        self, source: str, coin: str, price: Decimal, others: Mapping[str, Decimal]
    ) -> list[Finding]:
        """What to tell of two that are apart, neither of them in quarantine."""
        far = {name: other for name, other in others.items() if not self._agree(price, other)}
        suspects = self._candidates.keys() | self._moved
        to_blame = {name: other for name, other in far.items() if (name, coin) in suspects}
        if to_blame:
            here = {source: price}
            return [apart("apart", name, coin, other, here) for name, other in to_blame.items()]
        return [apart("apart", source, coin, price, far)] if far else []


def _recent(believed: Seen | None, now_ms: int) -> Decimal | None:
    """A price that was believed within the last minute."""
    if believed is None or not 0 <= now_ms - believed.at_ms <= JUMP_MEMORY_MS:
        return None
    return believed.price
