"""The coins of the generated market: well-known names at plausible prices, against USDT."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from exchange_simulator.market import Listing

# Base asset, name, typical price in USDT, listing day; in the order of their turnover.
_TABLE = """
BTC|Bitcoin|64000|2017-08-01
ETH|Ethereum|2900|2017-08-01
SOL|Solana|145|2020-08-11
BNB|BNB|560|2017-11-06
XRP|XRP|0.58|2018-05-04
DOGE|Dogecoin|0.13|2019-07-05
ADA|Cardano|0.46|2018-04-17
AVAX|Avalanche|31|2020-09-22
LINK|Chainlink|14.5|2019-01-16
DOT|Polkadot|6.4|2020-08-18
LTC|Litecoin|79|2018-01-01
TRX|TRON|0.12|2018-06-11
SHIB|Shiba Inu|0.000021|2021-05-10
MATIC|Polygon|0.72|2019-04-26
POL|Polygon Ecosystem Token|0.44|2023-10-25
UNI|Uniswap|7.6|2020-09-17
ATOM|Cosmos|8.1|2019-04-29
BCH|Bitcoin Cash|410|2018-01-01
NEAR|NEAR Protocol|5.2|2020-10-14
APT|Aptos|8.7|2022-10-19
ARB|Arbitrum|0.98|2023-03-23
OP|Optimism|1.9|2022-06-01
PEPE|Pepe|0.000011|2023-05-05
SUI|Sui|1.4|2023-05-03
INJ|Injective|23|2020-10-21
FIL|Filecoin|5.4|2020-10-15
ICP|Internet Computer|10.8|2021-05-11
ETC|Ethereum Classic|24|2018-06-12
XLM|Stellar|0.105|2018-05-31
AAVE|Aave|98|2020-10-15
HBAR|Hedera|0.082|2019-09-29
LUNA|Terra|0.61|2020-08-21
RUNE|THORChain|4.9|2020-09-04
FTM|Fantom|0.68|2019-06-11
VET|VeChain|0.031|2018-07-25
GRT|The Graph|0.21|2020-12-17
ALGO|Algorand|0.17|2019-06-22
MKR|Maker|2500|2020-07-23
SAND|The Sandbox|0.39|2020-08-14
MANA|Decentraland|0.40|2020-08-06
AXS|Axie Infinity|6.8|2020-11-04
THETA|Theta Network|1.7|2019-05-08
EOS|EOS|0.71|2018-05-28
XTZ|Tezos|0.86|2019-09-24
FLOW|Flow|0.74|2021-07-30
EGLD|MultiversX|38|2020-09-03
CHZ|Chiliz|0.088|2019-09-06
GALA|Gala|0.031|2021-09-13
APE|ApeCoin|1.1|2022-03-17
CRV|Curve DAO Token|0.37|2020-08-15
SNX|Synthetix|2.3|2020-07-09
COMP|Compound|53|2020-06-23
LDO|Lido DAO|1.9|2022-05-10
DYDX|dYdX|1.6|2021-09-09
GMX|GMX|29|2022-10-05
IMX|Immutable|1.6|2021-11-11
STX|Stacks|1.8|2019-10-25
WLD|Worldcoin|2.4|2023-07-24
SEI|Sei|0.42|2023-08-15
TIA|Celestia|7.2|2023-10-31
ORDI|ORDI|38|2023-11-07
JUP|Jupiter|0.91|2024-01-31
PYTH|Pyth Network|0.37|2024-02-02
WIF|dogwifhat|2.3|2024-03-05
BONK|Bonk|0.000023|2023-12-15
FLOKI|FLOKI|0.00016|2023-05-05
FET|Artificial Superintelligence Alliance|1.4|2019-02-28
RENDER|Render|6.9|2021-11-27
AR|Arweave|27|2021-05-14
KAVA|Kava|0.52|2019-10-25
ZEC|Zcash|31|2019-03-21
DASH|Dash|28|2019-03-28
XMR|Monero|158|2019-03-15
NEO|NEO|12|2018-01-01
QTUM|Qtum|2.9|2018-03-20
IOTA|IOTA|0.19|2018-05-30
ONT|Ontology|0.24|2018-06-11
ZIL|Zilliqa|0.019|2018-09-01
BAT|Basic Attention Token|0.21|2019-03-06
ENJ|Enjin Coin|0.22|2019-03-19
ZRX|0x Protocol|0.41|2019-02-26
KSM|Kusama|25|2020-08-28
YFI|yearn.finance|6400|2020-08-10
SUSHI|SushiSwap|0.88|2020-09-01
1INCH|1inch|0.36|2020-12-25
BAL|Balancer|2.7|2020-08-05
UMA|UMA|2.6|2020-09-07
CELO|Celo|0.65|2021-01-05
ANKR|Ankr|0.033|2019-07-12
STORJ|Storj|0.46|2020-06-26
SKL|SKALE|0.055|2020-12-01
HOT|Holo|0.0019|2018-07-20
IOTX|IoTeX|0.045|2019-07-02
ONE|Harmony|0.017|2019-06-01
ROSE|Oasis|0.083|2020-11-19
WOO|WOO|0.23|2021-09-17
MASK|Mask Network|2.8|2021-02-25
LRC|Loopring|0.20|2020-02-18
ENS|Ethereum Name Service|19|2021-11-10
BLUR|Blur|0.27|2023-11-24
MAGIC|Treasure|0.48|2022-12-12
AGLD|Adventure Gold|0.98|2021-10-05
ACH|Alchemy Pay|0.022|2022-01-10
JASMY|JasmyCoin|0.021|2021-11-22
GMT|GMT|0.19|2022-03-09
SSV|SSV Network|28|2022-09-19
QNT|Quant|84|2021-07-29
CFX|Conflux|0.17|2021-03-29
MINA|Mina|0.58|2021-08-10
DUSK|Dusk|0.24|2019-07-22
"""


@dataclass(frozen=True, slots=True)
class Coin:
    """A generated coin: its listing, and what drives its price and turnover.

    `beta` is its share in the market's common move; `own_volatility` the daily standard
    deviation (of the log price) of its own; `daily_turnover` is in USDT.
    """

    listing: Listing
    typical_price: float
    beta: float
    own_volatility: float
    daily_turnover: float
    key: int  # goes into every seed: stable when coins are added or reordered


def known_coins() -> tuple[Coin, ...]:
    """All coins of the generated market, largest turnover first."""
    rows = [line.split("|") for line in _TABLE.split("\n") if line]
    return tuple(
        _coin(rank, base, name, float(price), day)
        for rank, (base, name, price, day) in enumerate(rows, start=1)
    )


def _coin(rank: int, base: str, name: str, price: float, listing_day: str) -> Coin:
    magnitude = math.floor(math.log10(price))
    listed = datetime.fromisoformat(listing_day).replace(tzinfo=UTC)
    listing = Listing(
        base=base,
        name=name,
        price_decimals=min(max(4 - magnitude, 2), 8),
        quantity_decimals=min(max(magnitude + 1, 0), 5),
        listed_ms=int(listed.timestamp() * 1000),
    )
    key = zlib.crc32(base.encode())
    character = np.random.default_rng(key)
    beta, own_volatility = (1.0, 0.012)
    if base != "BTC":
        beta, own_volatility = character.uniform(0.9, 1.4), character.uniform(0.024, 0.042)
    return Coin(listing, price, beta, own_volatility, 2e9 / rank, key)
