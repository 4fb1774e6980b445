-- Ranges of open times [start_ms, end_ms) that have been asked of a source, or imported, in full:
-- a bar that is missing inside was never made by the exchange and is not asked for again.
CREATE TABLE kline_coverage (
    coin_id INTEGER NOT NULL REFERENCES coins (id) ON DELETE CASCADE,
    source TEXT NOT NULL,
    interval TEXT NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL CHECK (end_ms > start_ms),
    PRIMARY KEY (coin_id, source, interval, start_ms)
) WITHOUT ROWID;

-- The coins of the first start. A symbol without an OKX or CoinGecko name has none there.
INSERT INTO coins (symbol, name, category, binance_symbol, okx_symbol, coingecko_id, market_cap_rank, created_at, updated_at)
SELECT column1, column2, column3, column1 || 'USDT', column4, column5, column6, 0, 0 FROM (VALUES
    ('BTC', 'Bitcoin', 'Layer1', 'BTC-USDT', 'bitcoin', 1),
    ('ETH', 'Ethereum', 'Layer1', 'ETH-USDT', 'ethereum', 2),
    ('BNB', 'BNB', 'Exchange', 'BNB-USDT', 'binancecoin', 4),
    ('SOL', 'Solana', 'Layer1', 'SOL-USDT', 'solana', 5),
    ('XRP', 'XRP', 'Payment', 'XRP-USDT', 'ripple', 6),
    ('DOGE', 'Dogecoin', 'Meme', 'DOGE-USDT', 'dogecoin', 10),
    ('ADA', 'Cardano', 'Layer1', 'ADA-USDT', 'cardano', NULL),
    ('TRX', 'TRON', 'Layer1', 'TRX-USDT', 'tron', NULL),
    ('AVAX', 'Avalanche', 'Layer1', 'AVAX-USDT', 'avalanche-2', NULL),
    ('LINK', 'Chainlink', 'DeFi', 'LINK-USDT', 'chainlink', NULL),
    ('DOT', 'Polkadot', 'Layer1', 'DOT-USDT', 'polkadot', NULL),
    ('LTC', 'Litecoin', 'Payment', 'LTC-USDT', 'litecoin', NULL),
    ('SHIB', 'Shiba Inu', 'Meme', 'SHIB-USDT', 'shiba-inu', NULL),
    ('UNI', 'Uniswap', 'DeFi', 'UNI-USDT', 'uniswap', 18),
    ('ATOM', 'Cosmos', 'Layer1', 'ATOM-USDT', 'cosmos', NULL),
    ('AAVE', 'Aave', 'DeFi', 'AAVE-USDT', 'aave', NULL),
    ('PEPE', 'Pepe', 'Meme', 'PEPE-USDT', 'pepe', NULL),
    ('ARB', 'Arbitrum', 'Layer2', 'ARB-USDT', 'arbitrum', NULL),
    ('OP', 'Optimism', 'Layer2', 'OP-USDT', 'optimism', NULL),
    ('LUNA', 'Terra', 'Layer1', 'LUNA-USDT', 'terra-luna-2', NULL),
    ('MATIC', 'Polygon', 'Layer2', NULL, 'matic-network', NULL)
);

-- The report's summary apart from the report, so that a list of runs does not read the reports.
ALTER TABLE backtests ADD COLUMN summary TEXT;
