"""Browsers keep the pages' files for as long as their addresses stand, and get new ones at once."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urljoin

import pytest
from flask import Flask
from flask.testing import FlaskClient

from routes.static_files import EXTENSION, version_of

KEPT = "public, max-age=31536000, immutable"


@pytest.fixture
def client(offline_app: Flask) -> FlaskClient:
    return offline_app.test_client()


def addresses(client: FlaskClient, language: str) -> list[str]:
    page = client.get("/", headers={"Accept-Language": language}).text
    return re.findall(r'(?:src|href|data-messages)="(/(?:static|messages)/[^"]+)"', page)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_a_page_names_is_kept(client: FlaskClient, language: str):
    found = addresses(client, language)
    assert any(address.endswith(f"/{language}.json") for address in found)
    assert len(found) > 20
    for address in found:
        response = client.get(address)
        assert (response.status_code, response.headers["Cache-Control"]) == (200, KEPT), address
        assert len(response.data) > 2
        response.close()


@pytest.mark.parametrize(
    "path", ["/static/0123456789ab/js/i18n.js", "/messages/0123456789ab/zh.json"]
)
def test_a_page_of_before_an_upgrade_gets_what_there_is_and_keeps_it_not(
    client: FlaskClient, path: str
):
    response = client.get(path)
    assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-cache")
    response.close()


def test_nothing_is_kept_where_the_app_is_being_worked_on(offline_app: Flask):
    offline_app.debug = True
    client = offline_app.test_client()
    version = offline_app.extensions[EXTENSION]
    response = client.get(f"/static/{version}/js/i18n.js")
    assert response.headers["Cache-Control"] == "no-cache"
    etag = {"If-None-Match": response.headers["ETag"]}
    response.close()
    assert client.get(f"/static/{version}/js/i18n.js", headers=etag).status_code == 304


@pytest.mark.parametrize(
    "path", ["1/../app.py", "1/%2e%2e/app.py", "1//etc/passwd", "1/js", "favicon.svg"]
)
def test_only_files_of_the_folder_are_served(client: FlaskClient, path: str):
    assert client.get(f"/static/{path}").status_code in (308, 404)


def test_the_icon_where_browsers_ask_for_it(client: FlaskClient):
    response = client.get("/favicon.ico", follow_redirects=True)
    assert (response.status_code, response.mimetype) == (200, "image/svg+xml")
    response.close()


def test_the_version_is_of_names_and_contents(tmp_path: Path):
    one, other = tmp_path / "one.js", tmp_path / "other.js"
    versions = []
    for name, content in ((one, "a"), (one, "b"), (other, "b"), (one, "a")):
        for path in tmp_path.iterdir():
            path.unlink()
        name.write_text(content, encoding="utf-8")
        versions.append(version_of(tmp_path.iterdir()))
    assert versions[0] == versions[3]
    assert len(set(versions)) == 3


@pytest.mark.parametrize("path", ["/", "/charts", "/login"])
def test_a_page_names_every_module_that_it_needs_once(client: FlaskClient, path: str):
    page = client.get(path).text
    named = re.findall(r'<link rel="modulepreload" href="([^"]+)">', page)
    started = re.findall(r'<script type="module" src="([^"]+)">', page)
    assert set(started) <= set(named)
    assert len(set(named)) == len(named)
    for address in named:
        text = client.get(address).text
        for imported in re.findall(r"from '(\.[^']+)';", text):
            assert urljoin(address, imported) in named, (address, imported)
