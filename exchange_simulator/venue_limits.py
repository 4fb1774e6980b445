"""The limits of the three venues together, for one caller: the loopback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exchange_simulator.request_weight import Bans, RequestWeight

Json = Any


@dataclass(frozen=True, slots=True)
class VenueLimits:
    """Binance's by weight with its bans, OKX's by endpoint, CoinGecko's by request."""

    binance: RequestWeight
    binance_bans: Bans
    okx: Mapping[str, RequestWeight]
    coingecko: RequestWeight

    def as_json(self) -> dict[str, Json]:
        """What has been used of each, beside the limit."""
        return {
            "binance": self.binance.as_json() | self.binance_bans.as_json(),
            "okx": {path: requests.as_json() for path, requests in self.okx.items()},
            "coingecko": self.coingecko.as_json(),
        }
