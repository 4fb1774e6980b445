"""Where an app under test looks for its sources."""

from __future__ import annotations


def sources_at(url: str) -> dict[str, str]:
    """The settings that let an app find every source at a simulated exchange."""
    return {
        "BINANCE_API_URL": url,
        "OKX_API_URL": url,
        "BINANCE_STREAM_URL": url.replace("http", "ws", 1),
        "OKX_STREAM_URL": url.replace("http", "ws", 1) + "/ws/v5",
        "COINGECKO_API_URL": f"{url}/coingecko",
    }


NOWHERE = sources_at("http://127.0.0.1:9")  # the port of `discard`, where nobody listens
