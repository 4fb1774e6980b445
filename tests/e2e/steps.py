"""What tests of several pages do and look at."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from playwright.sync_api import APIRequestContext, APIResponse, Locator, Page, expect

Found = TypeVar("Found")

#: Copied before it is read: reading a page's own canvas again and again would slow it down.
COUNT_COLOURS = """(canvas) => {
  const { width, height } = canvas;
  if (!width || !height) return 0;
  const copy = Object.assign(document.createElement('canvas'), { width, height });
  const context = copy.getContext('2d', { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  return new Set(new Uint32Array(context.getImageData(0, 0, width, height).data.buffer)).size;
}"""
#: The pointer's moves are dealt with once a frame.
ONE_FRAME = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
#: Where on the page a candle chart has its markers.
MARKER_POINTS = """async (plot) => {
  const files = document.querySelector('link[rel=icon]').href.replace('favicon.svg', '');
  const { candleChartOn } = await import(`${files}js/candle-chart.js`);
  const { left, top, width } = plot.getBoundingClientRect();
  return candleChartOn(plot).marks.points()
    .filter(({ x }) => 0 < x && x < width)
    .map(({ x, y }) => [left + x, top + y]);
}"""


def write(
    request: APIRequestContext, path: str, body: Any = None, method: str = "POST"
) -> APIResponse:
    """A write as a page sends it: with the proof of its session."""
    proof = request.get("/api/session").json()["csrf_token"]
    return request.fetch(path, method=method, data=body, headers={"X-CSRF-Token": proof})


def eventually(
    page: Page, condition: Callable[[], Found], seconds: float = 20, what: str = "condition"
) -> Found:
    """What `condition` returns as soon as that is true; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        page.wait_for_timeout(50)
    return found


def colours(canvas: Locator) -> int:
    """How many colours are drawn on it: one where it is blank."""
    count: int = canvas.evaluate(COUNT_COLOURS)
    return count


def expect_drawn(page: Page, canvas: Locator) -> None:
    """More is drawn on it than a ground and its grid."""
    eventually(page, lambda: colours(canvas) > 4)


def expect_live(page: Page) -> None:
    """The page has loaded everything and follows the stream."""
    expect(page.get_by_test_id("status-stream")).to_have_attribute("data-state", "ok")
    expect(page.locator(".skeleton:visible")).to_have_count(0)


def column(page: Page, test_id: str, heading: str) -> list[str]:
    """The texts of a column, of all rows at one moment; none where there is no table yet."""
    names = page.get_by_test_id(test_id).locator("thead th").all_inner_texts()
    if not names:
        return []
    index = [name.strip() for name in names].index(heading) + 1
    cells = page.get_by_test_id(f"{test_id}-row").locator(f"td:nth-child({index})")
    return [text.strip() for text in cells.all_inner_texts()]


def number(text: str) -> float:
    """The first number in a text, with its sign."""
    found = re.search(r"[-−]?\$?[\d,]*\.?\d+", text)
    assert found is not None, text
    return float(found[0].replace("$", "").replace(",", "").replace("−", "-"))


def hover_marker(page: Page, said: str) -> str:
    """Point at the markers of the page's candle chart until one says `said`; all that it says."""
    plot = page.get_by_test_id("candle-plot")
    tooltip = page.get_by_test_id("marker-tooltip")

    def told() -> str | None:
        for x, y in plot.evaluate(MARKER_POINTS):
            page.mouse.move(x, y)
            page.evaluate(ONE_FRAME)
            if tooltip.is_visible() and said in tooltip.inner_text():
                return tooltip.inner_text()
        return None

    return eventually(page, told, what=f"a marker that says {said!r}")


@contextmanager
def fault(page: Page, exchange: str, venue: str, name: str, **params: Any) -> Iterator[None]:
    """A fault of the simulated exchange at the address `exchange`, while the block runs."""
    switch = f"{exchange}/control/faults"
    wanted = {"venue": venue, "fault": name, "channel": "all", "params": params}
    answer = page.request.post(switch, data=wanted)
    assert answer.ok, answer.text()
    try:
        yield
    finally:
        page.request.delete(f"{switch}/{answer.json()['id']}")
