"""How each venue says no: too many requests, banned, not in this country, out of order.

Binance bans an address that goes on after a 429 with 418. OKX and CoinGecko do not have that
status: there it is Cloudflare, before them, that shuts an address out for a while.
"""

from __future__ import annotations

from aiohttp import web

from exchange_simulator.request_weight import BINANCE_LIMIT

HTML = "text/html"

FORBIDDEN_PAGE = (
    "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n"
    "<center><h1>403 Forbidden</h1></center>\r\n</body>\r\n</html>\r\n"
)
OUTAGE_PAGE = (
    "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n"
    "<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n</body>\r\n</html>\r\n"
)
SHUT_OUT_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>Access denied | Error 1015</title></head><body>"
    "<h1>Error 1015</h1><h2>You are being rate limited</h2></body></html>"
)
RESTRICTED_PLACE = (
    "Service unavailable from a restricted location according to 'b. Eligibility' in "
    "https://www.binance.com/en/terms. Please contact customer service if you believe you "
    "received this message in error."
)


def too_many_requests(venue: str, seconds: int) -> web.Response:
    """429, to be tried again after so many seconds; OKX does not say when."""
    if venue == "binance":
        return _binance(429, too_much_weight(BINANCE_LIMIT), seconds)
    if venue == "okx":
        refusal = {"code": "50011", "msg": "Too Many Requests", "data": []}
        return web.json_response(refusal, status=429)
    status = {"error_code": 429, "error_message": "You've exceeded the Rate Limit."}
    return web.json_response({"status": status}, status=429, headers=_wait(seconds))


def banned(venue: str, seconds: int, until_ms: int) -> web.Response:
    """The address is shut out for so many seconds, until `until_ms` (ms UTC)."""
    if venue == "binance":
        message = (
            f"Way too much request weight used; IP banned until {until_ms}. "
            "Please use WebSocket Streams for live updates to avoid bans."
        )
        return _binance(418, message, seconds)
    return web.Response(text=SHUT_OUT_PAGE, status=429, content_type=HTML, headers=_wait(seconds))


def restricted(venue: str) -> web.Response:
    """451: the venue does not serve this country."""
    if venue == "binance":
        return web.json_response({"code": 0, "msg": RESTRICTED_PLACE}, status=451)
    if venue == "okx":
        message = "This service is not available in your country or region."
        return web.json_response({"code": "50030", "msg": message, "data": []}, status=451)
    return web.json_response({"error": "Unavailable For Legal Reasons"}, status=451)


def forbidden() -> web.Response:
    """403, by the firewall before the venue: a page."""
    return web.Response(text=FORBIDDEN_PAGE, status=403, content_type=HTML)


def outage() -> web.Response:
    """503, by whatever stands before the venue: a page."""
    return web.Response(text=OUTAGE_PAGE, status=503, content_type=HTML)


def too_much_weight(limit: int) -> str:
    """Binance's sentence for a limit of so much weight."""
    return (
        f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API."
    )


def _binance(status: int, message: str, seconds: int) -> web.Response:
    return web.json_response({"code": -1003, "msg": message}, status=status, headers=_wait(seconds))


def _wait(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}
