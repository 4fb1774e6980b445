"""The coins of the generated market: well-known names at plausible prices, against USDT.

Also what is known of them beside their prices: CoinGecko's id, category and rough market cap, and
whether OKX lists them. Facts as of 2024.
"""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np

from exchange_simulator.market import Listing

# Base asset, name, typical price in USDT, listing day, CoinGecko's id, category, market cap in
# millions of USD; in the order of their turnover.
_TABLE = """
BTC|Bitcoin|64000|2017-08-01|bitcoin|Layer1|1260000
ETH|Ethereum|2900|2017-08-01|ethereum|Layer1|348000
SOL|Solana|145|2020-08-11|solana|Layer1|67000
BNB|BNB|560|2017-11-06|binancecoin|Exchange|86000
XRP|XRP|0.58|2018-05-04|ripple|Payment|32000
DOGE|Dogecoin|0.13|2019-07-05|dogecoin|Meme|19000
ADA|Cardano|0.46|2018-04-17|cardano|Layer1|16400
AVAX|Avalanche|31|2020-09-22|avalanche-2|Layer1|12200
LINK|Chainlink|14.5|2019-01-16|chainlink|DeFi|8520
DOT|Polkadot|6.4|2020-08-18|polkadot|Layer1|9200
LTC|Litecoin|79|2018-01-01|litecoin|Payment|5900
TRX|TRON|0.12|2018-06-11|tron|Layer1|10500
SHIB|Shiba Inu|0.000021|2021-05-10|shiba-inu|Meme|12400
MATIC|Polygon|0.72|2019-04-26|matic-network|Layer2|6700
POL|Polygon Ecosystem Token|0.44|2023-10-25|polygon-ecosystem-token|Layer2|890
UNI|Uniswap|7.6|2020-09-17|uniswap|DeFi|4560
ATOM|Cosmos|8.1|2019-04-29|cosmos|Layer1|3170
BCH|Bitcoin Cash|410|2018-01-01|bitcoin-cash|Payment|8080
NEAR|NEAR Protocol|5.2|2020-10-14|near|Layer1|5610
APT|Aptos|8.7|2022-10-19|aptos|Layer1|3810
ARB|Arbitrum|0.98|2023-03-23|arbitrum|Layer2|2840
OP|Optimism|1.9|2022-06-01|optimism|Layer2|2090
PEPE|Pepe|0.000011|2023-05-05|pepe|Meme|4630
SUI|Sui|1.4|2023-05-03|sui|Layer1|3430
INJ|Injective|23|2020-10-21|injective-protocol|DeFi|2150
FIL|Filecoin|5.4|2020-10-15|filecoin|Storage|3020
ICP|Internet Computer|10.8|2021-05-11|internet-computer|Layer1|5020
ETC|Ethereum Classic|24|2018-06-12|ethereum-classic|Layer1|3540
XLM|Stellar|0.105|2018-05-31|stellar|Payment|3050
AAVE|Aave|98|2020-10-15|aave|DeFi|1450
HBAR|Hedera|0.082|2019-09-29|hedera-hashgraph|Layer1|2930
LUNA|Terra|0.61|2020-08-21|terra-luna-2|Layer1|430
RUNE|THORChain|4.9|2020-09-04|thorchain|DeFi|1640
FTM|Fantom|0.68|2019-06-11|fantom|Layer1|1910
VET|VeChain|0.031|2018-07-25|vechain|Layer1|2260
GRT|The Graph|0.21|2020-12-17|the-graph|Infrastructure|2000
ALGO|Algorand|0.17|2019-06-22|algorand|Layer1|1390
MKR|Maker|2500|2020-07-23|maker|DeFi|2310
SAND|The Sandbox|0.39|2020-08-14|the-sandbox|Gaming|900
MANA|Decentraland|0.40|2020-08-06|decentraland|Gaming|750
AXS|Axie Infinity|6.8|2020-11-04|axie-infinity|Gaming|980
THETA|Theta Network|1.7|2019-05-08|theta-token|Infrastructure|1700
EOS|EOS|0.71|2018-05-28|eos|Layer1|1060
XTZ|Tezos|0.86|2019-09-24|tezos|Layer1|850
FLOW|Flow|0.74|2021-07-30|flow|Layer1|1110
EGLD|MultiversX|38|2020-09-03|elrond-erd-2|Layer1|1030
CHZ|Chiliz|0.088|2019-09-06|chiliz|Gaming|790
GALA|Gala|0.031|2021-09-13|gala|Gaming|1220
APE|ApeCoin|1.1|2022-03-17|apecoin|Gaming|690
CRV|Curve DAO Token|0.37|2020-08-15|curve-dao-token|DeFi|460
SNX|Synthetix|2.3|2020-07-09|havven|DeFi|760
COMP|Compound|53|2020-06-23|compound-governance-token|DeFi|440
LDO|Lido DAO|1.9|2022-05-10|lido-dao|DeFi|1690
DYDX|dYdX|1.6|2021-09-09|dydx-chain|DeFi|860
GMX|GMX|29|2022-10-05|gmx|DeFi|280
IMX|Immutable|1.6|2021-11-11|immutable-x|Layer2|2350
STX|Stacks|1.8|2019-10-25|blockstack|Layer2|2620
WLD|Worldcoin|2.4|2023-07-24|worldcoin-wld|AI|560
SEI|Sei|0.42|2023-08-15|sei-network|Layer1|1250
TIA|Celestia|7.2|2023-10-31|celestia|Infrastructure|1360
ORDI|ORDI|38|2023-11-07|ordinals|Meme|800
JUP|Jupiter|0.91|2024-01-31|jupiter-exchange-solana|DeFi|1230
PYTH|Pyth Network|0.37|2024-02-02|pyth-network|Infrastructure|1340
WIF|dogwifhat|2.3|2024-03-05|dogwifcoin|Meme|2300
BONK|Bonk|0.000023|2023-12-15|bonk|Meme|1570
FLOKI|FLOKI|0.00016|2023-05-05|floki|Meme|1540
FET|Artificial Superintelligence Alliance|1.4|2019-02-28|fetch-ai|AI|3520
RENDER|Render|6.9|2021-11-27|render-token|AI|2680
AR|Arweave|27|2021-05-14|arweave|Storage|1770
KAVA|Kava|0.52|2019-10-25|kava|Layer1|559
ZEC|Zcash|31|2019-03-21|zcash|Privacy|500
DASH|Dash|28|2019-03-28|dash|Payment|330
XMR|Monero|158|2019-03-15|monero|Privacy|2910
NEO|NEO|12|2018-01-01|neo|Layer1|870
QTUM|Qtum|2.9|2018-03-20|qtum|Layer1|300
IOTA|IOTA|0.19|2018-05-30|iota|Layer1|630
ONT|Ontology|0.24|2018-06-11|ontology|Layer1|210
ZIL|Zilliqa|0.019|2018-09-01|zilliqa|Layer1|350
BAT|Basic Attention Token|0.21|2019-03-06|basic-attention-token|Infrastructure|320
ENJ|Enjin Coin|0.22|2019-03-19|enjincoin|Gaming|340
ZRX|0x Protocol|0.41|2019-02-26|0x|DeFi|349
KSM|Kusama|25|2020-08-28|kusama|Layer1|380
YFI|yearn.finance|6400|2020-08-10|yearn-finance|DeFi|214
SUSHI|SushiSwap|0.88|2020-09-01|sushi|DeFi|225
1INCH|1inch|0.36|2020-12-25|1inch|DeFi|450
BAL|Balancer|2.7|2020-08-05|balancer|DeFi|160
UMA|UMA|2.6|2020-09-07|uma|DeFi|205
CELO|Celo|0.65|2021-01-05|celo|Layer2|355
ANKR|Ankr|0.033|2019-07-12|ankr|Infrastructure|331
STORJ|Storj|0.46|2020-06-26|storj|Storage|190
SKL|SKALE|0.055|2020-12-01|skale|Layer2|295
HOT|Holo|0.0019|2018-07-20|holotoken|Infrastructure|336
IOTX|IoTeX|0.045|2019-07-02|iotex|Infrastructure|425
ONE|Harmony|0.017|2019-06-01|harmony|Layer1|240
ROSE|Oasis|0.083|2020-11-19|oasis-network|Layer1|557
WOO|WOO|0.23|2021-09-17|woo-network|DeFi|427
MASK|Mask Network|2.8|2021-02-25|mask-network|Infrastructure|279
LRC|Loopring|0.20|2020-02-18|loopring|Layer2|273
ENS|Ethereum Name Service|19|2021-11-10|ethereum-name-service|Infrastructure|610
BLUR|Blur|0.27|2023-11-24|blur|DeFi|426
MAGIC|Treasure|0.48|2022-12-12|magic|Gaming|129
AGLD|Adventure Gold|0.98|2021-10-05|adventure-gold|Gaming|76
ACH|Alchemy Pay|0.022|2022-01-10|alchemy-pay|Payment|186
JASMY|JasmyCoin|0.021|2021-11-22|jasmycoin|Infrastructure|1029
GMT|GMT|0.19|2022-03-09|stepn|Gaming|447
SSV|SSV Network|28|2022-09-19|ssv-network|Infrastructure|276
QNT|Quant|84|2021-07-29|quant-network|Infrastructure|1015
CFX|Conflux|0.17|2021-03-29|conflux-token|Layer1|682
MINA|Mina|0.58|2021-08-10|mina-protocol|Layer1|650
DUSK|Dusk|0.24|2019-07-22|dusk-network|Privacy|100
USDC|USDC|1|2018-12-15|usd-coin|Stablecoins|32300
FDUSD|First Digital USD|1|2023-07-26|first-digital-usd|Stablecoins|3100
TUSD|TrueUSD|1|2019-05-15|true-usd|Stablecoins|495
OKB|OKB|44|2019-05-01|okb|Exchange|2660
CRO|Cronos|0.11|2019-05-01|crypto-com-chain|Exchange|3021
"""


# OKX had no spot market of these against USDT; it delisted XMR, DASH and ZEC in January 2024.
_NOT_ON_OKX = frozenset({
    "ANKR", "BAL", "DASH", "DUSK", "FDUSD", "FET", "HOT", "IOTX", "JASMY", "KAVA",
    "QNT", "ROSE", "RUNE", "SEI", "SKL", "TUSD", "VET", "XMR", "ZEC",
})  # fmt: skip
_NOT_ON_BINANCE = frozenset({"OKB", "CRO"})

# Renamed to POL; the pair ended with this moment.
_DELISTED = {"MATIC": datetime(2024, 9, 10, 3, tzinfo=UTC)}


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a coin beside its price; `market_cap` (USD) is none of an obscure one."""

    coingecko_id: str
    category: str | None
    market_cap: int | None
    on_binance: bool = True
    on_okx: bool = True


@dataclass(frozen=True, slots=True)
class Coin:
    """A generated coin: its listing, and what drives its price and turnover.

    `beta` is its share in the market's common move; `own_volatility` the daily standard
    deviation (of the log price) of its own; `anchor_spread` how far (of the log price) it strays
    from its typical price over the years; `daily_turnover` is in USDT.
    """

    listing: Listing
    typical_price: float
    beta: float
    own_volatility: float
    anchor_spread: float
    daily_turnover: float
    key: int  # goes into every seed: stable when coins are added or reordered


def known_coins() -> tuple[Coin, ...]:
    """All coins of the generated market, largest turnover first."""
    return tuple(
        _coin(rank, base, name, float(price), day, is_stable=category == "Stablecoins")
        for rank, (base, name, price, day, _, category, _) in enumerate(_rows(), start=1)
    )


def profile_of(listing: Listing) -> Profile:
    """The profile of a listed coin; of one that is not in the table, what its name allows."""
    slug = re.sub(r"[^a-z0-9]+", "-", listing.name.lower()).strip("-")
    return _profiles().get(listing.base, Profile(slug, None, None))


@lru_cache(maxsize=1)
def _profiles() -> dict[str, Profile]:
    return {
        base: Profile(
            coingecko_id,
            category,
            int(millions) * 1_000_000,
            on_binance=base not in _NOT_ON_BINANCE,
            on_okx=base not in _NOT_ON_OKX,
        )
        for base, _, _, _, coingecko_id, category, millions in _rows()
    }


def _rows() -> list[list[str]]:
    return [line.split("|") for line in _TABLE.split("\n") if line]


def _coin(
    rank: int, base: str, name: str, price: float, listing_day: str, *, is_stable: bool
) -> Coin:
    magnitude = math.floor(math.log10(price))
    listed = datetime.fromisoformat(listing_day).replace(tzinfo=UTC)
    delisted = _DELISTED.get(base)
    listing = Listing(
        base=base,
        name=name,
        price_decimals=min(max(4 - magnitude, 2), 8),
        quantity_decimals=min(max(magnitude + 1, 0), 5),
        listed_ms=int(listed.timestamp() * 1000),
        delisted_ms=None if delisted is None else int(delisted.timestamp() * 1000),
    )
    key = zlib.crc32(base.encode())
    character = np.random.default_rng(key)
    beta, own_volatility = character.uniform(0.9, 1.4), character.uniform(0.024, 0.042)
    anchor_spread = 0.3
    if base == "BTC":
        beta, own_volatility = 1.0, 0.012
    if is_stable:
        beta, own_volatility, anchor_spread = 0.0, 0.00005, 0.0002
    return Coin(listing, price, beta, own_volatility, anchor_spread, 2e9 / rank, key)
