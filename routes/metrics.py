"""`GET /metrics` for Prometheus, and what is counted of every request."""

from __future__ import annotations

import time

from flask import Blueprint, Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST

from metrics import Metrics
from route_scopes import documented_path
from routes.services import services

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
def get_metrics() -> Response:
    """Every figure in Prometheus' text format."""
    return Response(services().metrics.text(), content_type=CONTENT_TYPE_LATEST)


def count_requests(app: Flask, metrics: Metrics) -> None:
    """Count the requests of `app`, refused ones too; to be called before anything looks at them."""

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def count(response: Response) -> Response:
        route = None if request.url_rule is None else documented_path(request.url_rule.rule)
        seconds = time.perf_counter() - g.began
        metrics.count_request(request.method, route, response.status_code, seconds)
        return response
