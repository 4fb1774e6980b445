-- What the venues list: the grid and the minimum of each pair, and whether it trades now.
CREATE TABLE instruments (
    source TEXT NOT NULL,
    symbol TEXT NOT NULL,
    base TEXT NOT NULL,
    quote TEXT NOT NULL,
    is_trading INTEGER NOT NULL CHECK (is_trading IN (0, 1)),
    lot_size TEXT NOT NULL,
    min_notional TEXT NOT NULL,
    tick_size TEXT NOT NULL,
    PRIMARY KEY (source, symbol)
) WITHOUT ROWID;
CREATE INDEX idx_instruments_base ON instruments (base);

-- When each venue's whole list was last had.
CREATE TABLE instrument_lists (
    source TEXT PRIMARY KEY,
    fetched_at INTEGER NOT NULL
);

-- A group that follows the ranking holds the best `follows_rank` coins by market cap.
ALTER TABLE coin_groups ADD COLUMN follows_rank INTEGER CHECK (follows_rank > 0);

-- More coins of the first start; what is there already stays as it is.
INSERT OR IGNORE INTO coins (symbol, name, category, binance_symbol, okx_symbol, coingecko_id, created_at, updated_at)
SELECT column1, column2, column3, column4, column5, column6, 0, 0 FROM (VALUES
    ('BCH', 'Bitcoin Cash', 'Payment', 'BCHUSDT', 'BCH-USDT', 'bitcoin-cash'),
    ('NEAR', 'NEAR Protocol', 'Layer1', 'NEARUSDT', 'NEAR-USDT', 'near'),
    ('APT', 'Aptos', 'Layer1', 'APTUSDT', 'APT-USDT', 'aptos'),
    ('SUI', 'Sui', 'Layer1', 'SUIUSDT', 'SUI-USDT', 'sui'),
    ('POL', 'POL (ex-MATIC)', 'Layer2', 'POLUSDT', 'POL-USDT', 'polygon-ecosystem-token'),
    ('INJ', 'Injective', 'DeFi', 'INJUSDT', 'INJ-USDT', 'injective-protocol'),
    ('FIL', 'Filecoin', 'Storage', 'FILUSDT', 'FIL-USDT', 'filecoin'),
    ('ICP', 'Internet Computer', 'Layer1', 'ICPUSDT', 'ICP-USDT', 'internet-computer'),
    ('ETC', 'Ethereum Classic', 'Layer1', 'ETCUSDT', 'ETC-USDT', 'ethereum-classic'),
    ('XLM', 'Stellar', 'Payment', 'XLMUSDT', 'XLM-USDT', 'stellar'),
    ('HBAR', 'Hedera', 'Layer1', 'HBARUSDT', 'HBAR-USDT', 'hedera-hashgraph'),
    ('RUNE', 'THORChain', 'DeFi', 'RUNEUSDT', NULL, 'thorchain'),
    ('VET', 'VeChain', 'Layer1', 'VETUSDT', NULL, 'vechain'),
    ('GRT', 'The Graph', 'Infrastructure', 'GRTUSDT', 'GRT-USDT', 'the-graph'),
    ('ALGO', 'Algorand', 'Layer1', 'ALGOUSDT', 'ALGO-USDT', 'algorand'),
    ('SAND', 'The Sandbox', 'Gaming', 'SANDUSDT', 'SAND-USDT', 'the-sandbox'),
    ('MANA', 'Decentraland', 'Gaming', 'MANAUSDT', 'MANA-USDT', 'decentraland'),
    ('AXS', 'Axie Infinity', 'Gaming', 'AXSUSDT', 'AXS-USDT', 'axie-infinity'),
    ('THETA', 'Theta Network', 'Infrastructure', 'THETAUSDT', 'THETA-USDT', 'theta-token'),
    ('XTZ', 'Tezos', 'Layer1', 'XTZUSDT', 'XTZ-USDT', 'tezos'),
    ('FLOW', 'Flow', 'Layer1', 'FLOWUSDT', 'FLOW-USDT', 'flow'),
    ('EGLD', 'MultiversX', 'Layer1', 'EGLDUSDT', 'EGLD-USDT', 'elrond-erd-2'),
    ('CHZ', 'Chiliz', 'Gaming', 'CHZUSDT', 'CHZ-USDT', 'chiliz'),
    ('GALA', 'Gala', 'Gaming', 'GALAUSDT', 'GALA-USDT', 'gala'),
    ('APE', 'ApeCoin', 'Gaming', 'APEUSDT', 'APE-USDT', 'apecoin'),
    ('CRV', 'Curve DAO', 'DeFi', 'CRVUSDT', 'CRV-USDT', 'curve-dao-token'),
    ('SNX', 'Synthetix', 'DeFi', 'SNXUSDT', 'SNX-USDT', 'havven'),
    ('COMP', 'Compound', 'DeFi', 'COMPUSDT', 'COMP-USDT', 'compound-governance-token'),
    ('LDO', 'Lido DAO', 'DeFi', 'LDOUSDT', 'LDO-USDT', 'lido-dao'),
    ('DYDX', 'dYdX', 'DeFi', 'DYDXUSDT', 'DYDX-USDT', 'dydx-chain'),
    ('GMX', 'GMX', 'DeFi', 'GMXUSDT', 'GMX-USDT', 'gmx'),
    ('IMX', 'Immutable', 'Layer2', 'IMXUSDT', 'IMX-USDT', 'immutable-x'),
    ('STX', 'Stacks', 'Layer2', 'STXUSDT', 'STX-USDT', 'blockstack'),
    ('WLD', 'Worldcoin', 'AI', 'WLDUSDT', 'WLD-USDT', 'worldcoin-wld'),
    ('SEI', 'Sei', 'Layer1', 'SEIUSDT', NULL, 'sei-network'),
    ('TIA', 'Celestia', 'Infrastructure', 'TIAUSDT', 'TIA-USDT', 'celestia'),
    ('ORDI', 'ORDI', 'Meme', 'ORDIUSDT', 'ORDI-USDT', 'ordinals'),
    ('JUP', 'Jupiter', 'DeFi', 'JUPUSDT', 'JUP-USDT', 'jupiter-exchange-solana'),
    ('PYTH', 'Pyth Network', 'Infrastructure', 'PYTHUSDT', 'PYTH-USDT', 'pyth-network'),
    ('WIF', 'dogwifhat', 'Meme', 'WIFUSDT', 'WIF-USDT', 'dogwifcoin'),
    ('BONK', 'Bonk', 'Meme', 'BONKUSDT', 'BONK-USDT', 'bonk'),
    ('FLOKI', 'FLOKI', 'Meme', 'FLOKIUSDT', 'FLOKI-USDT', 'floki'),
    ('FET', 'Artificial Superintelligence Alliance', 'AI', 'FETUSDT', NULL, 'fetch-ai'),
    ('RENDER', 'Render', 'AI', 'RENDERUSDT', 'RENDER-USDT', 'render-token'),
    ('AR', 'Arweave', 'Storage', 'ARUSDT', 'AR-USDT', 'arweave'),
    ('KAVA', 'Kava', 'Layer1', 'KAVAUSDT', NULL, 'kava'),
    ('ZEC', 'Zcash', 'Privacy', 'ZECUSDT', NULL, 'zcash'),
    ('DASH', 'Dash', 'Payment', 'DASHUSDT', NULL, 'dash'),
    ('NEO', 'NEO', 'Layer1', 'NEOUSDT', 'NEO-USDT', 'neo'),
    ('QTUM', 'Qtum', 'Layer1', 'QTUMUSDT', 'QTUM-USDT', 'qtum'),
    ('IOTA', 'IOTA', 'Layer1', 'IOTAUSDT', 'IOTA-USDT', 'iota'),
    ('ONT', 'Ontology', 'Layer1', 'ONTUSDT', 'ONT-USDT', 'ontology'),
    ('ZIL', 'Zilliqa', 'Layer1', 'ZILUSDT', 'ZIL-USDT', 'zilliqa'),
    ('BAT', 'Basic Attention', 'Infrastructure', 'BATUSDT', 'BAT-USDT', 'basic-attention-token'),
    ('ENJ', 'Enjin Coin', 'Gaming', 'ENJUSDT', 'ENJ-USDT', 'enjincoin'),
    ('ZRX', '0x Protocol', 'DeFi', 'ZRXUSDT', 'ZRX-USDT', '0x'),
    ('KSM', 'Kusama', 'Layer1', 'KSMUSDT', 'KSM-USDT', 'kusama'),
    ('YFI', 'yearn.finance', 'DeFi', 'YFIUSDT', 'YFI-USDT', 'yearn-finance'),
    ('SUSHI', 'Sushi', 'DeFi', 'SUSHIUSDT', 'SUSHI-USDT', 'sushi'),
    ('1INCH', '1inch', 'DeFi', '1INCHUSDT', '1INCH-USDT', '1inch'),
    ('UMA', 'UMA', 'DeFi', 'UMAUSDT', 'UMA-USDT', 'uma'),
    ('CELO', 'Celo', 'Layer2', 'CELOUSDT', 'CELO-USDT', 'celo'),
    ('ANKR', 'Ankr', 'Infrastructure', 'ANKRUSDT', NULL, 'ankr'),
    ('STORJ', 'Storj', 'Storage', 'STORJUSDT', 'STORJ-USDT', 'storj'),
    ('SKL', 'SKALE', 'Layer2', 'SKLUSDT', NULL, 'skale'),
    ('HOT', 'Holo', 'Infrastructure', 'HOTUSDT', NULL, 'holotoken'),
    ('IOTX', 'IoTeX', 'Infrastructure', 'IOTXUSDT', NULL, 'iotex'),
    ('ONE', 'Harmony', 'Layer1', 'ONEUSDT', 'ONE-USDT', 'harmony'),
    ('ROSE', 'Oasis', 'Layer1', 'ROSEUSDT', NULL, 'oasis-network'),
    ('WOO', 'WOO', 'DeFi', 'WOOUSDT', 'WOO-USDT', 'woo-network'),
    ('MASK', 'Mask Network', 'Infrastructure', 'MASKUSDT', 'MASK-USDT', 'mask-network'),
    ('LRC', 'Loopring', 'Layer2', 'LRCUSDT', 'LRC-USDT', 'loopring'),
    ('ENS', 'Ethereum Name Service', 'Infrastructure', 'ENSUSDT', 'ENS-USDT', 'ethereum-name-service'),
    ('BLUR', 'Blur', 'DeFi', 'BLURUSDT', 'BLUR-USDT', 'blur'),
    ('MAGIC', 'Treasure', 'Gaming', 'MAGICUSDT', 'MAGIC-USDT', 'magic'),
    ('AGLD', 'Adventure Gold', 'Gaming', 'AGLDUSDT', 'AGLD-USDT', 'adventure-gold'),
    ('ACH', 'Alchemy Pay', 'Payment', 'ACHUSDT', 'ACH-USDT', 'alchemy-pay'),
    ('JASMY', 'JasmyCoin', 'Infrastructure', 'JASMYUSDT', NULL, 'jasmycoin'),
    ('GMT', 'STEPN', 'Gaming', 'GMTUSDT', 'GMT-USDT', 'stepn'),
    ('SSV', 'ssv.network', 'Infrastructure', 'SSVUSDT', 'SSV-USDT', 'ssv-network'),
    ('QNT', 'Quant', 'Infrastructure', 'QNTUSDT', NULL, 'quant-network'),
    ('CFX', 'Conflux', 'Layer1', 'CFXUSDT', 'CFX-USDT', 'conflux-token'),
    ('MINA', 'Mina Protocol', 'Layer1', 'MINAUSDT', 'MINA-USDT', 'mina-protocol'),
    ('DUSK', 'Dusk', 'Privacy', 'DUSKUSDT', NULL, 'dusk-network'),
    ('OKB', 'OKB', 'Exchange', NULL, 'OKB-USDT', 'okb'),
    ('CRO', 'Cronos', 'Exchange', NULL, 'CRO-USDT', 'crypto-com-chain'),
    ('LEO', 'LEO Token', 'Exchange', NULL, NULL, 'leo-token'),
    ('KCS', 'KuCoin', 'Exchange', NULL, NULL, 'kucoin-shares'),
    ('XMR', 'Monero', 'Privacy', NULL, NULL, 'monero'),
    ('USDT', 'Tether', 'Stablecoins', NULL, NULL, 'tether'),
    ('USDC', 'USD Coin', 'Stablecoins', 'USDCUSDT', 'USDC-USDT', 'usd-coin'),
    ('FDUSD', 'First Digital USD', 'Stablecoins', 'FDUSDUSDT', NULL, 'first-digital-usd'),
    ('TUSD', 'TrueUSD', 'Stablecoins', 'TUSDUSDT', NULL, 'true-usd'),
    ('DAI', 'Dai', 'Stablecoins', NULL, NULL, 'dai')
);

INSERT OR IGNORE INTO coin_groups (name, description, follows_rank, created_at) VALUES
    ('Top10', '市值前 10 的主流币种 · The ten largest by market cap', 10, 0),
    ('DeFi', 'DeFi 生态币种 · Decentralised finance', NULL, 0),
    ('Layer1', 'Layer1 公链 · Chains of their own', NULL, 0),
    ('Layer2', 'Layer2 扩容方案 · Scaling of other chains', NULL, 0),
    ('Meme', 'Meme 币种 · Meme coins', NULL, 0),
    ('Stablecoins', '稳定币 · Coins that follow the dollar', NULL, 0);

INSERT OR IGNORE INTO coin_group_members (group_id, coin_id, sort_order)
SELECT g.id, c.id, row_number() OVER (
    PARTITION BY g.id ORDER BY c.market_cap_rank IS NULL, c.market_cap_rank, c.id
) - 1
FROM coin_groups g JOIN coins c ON c.category = g.name;

-- Until the ranking is first had: the largest that are known to be.
INSERT OR IGNORE INTO coin_group_members (group_id, coin_id, sort_order)
SELECT g.id, c.id, top.column2
FROM coin_groups g
JOIN (VALUES ('BTC', 0), ('ETH', 1), ('BNB', 2), ('SOL', 3), ('XRP', 4), ('DOGE', 5),
    ('ADA', 6), ('TRX', 7), ('AVAX', 8), ('LINK', 9)) AS top
JOIN coins c ON c.symbol = top.column1
WHERE g.name = 'Top10';
