"""Backups of the database: made, listed, fetched. Restoring one is a command, without a server."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, send_file
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backups import Backup
from routes import shapes
from routes.callers import caller
from routes.json_errors import ERROR_ANSWERS
from routes.schemas import Body
from routes.services import services

blueprint = APIBlueprint(
    "backups",
    __name__,
    url_prefix="/api/backups",
    abp_tags=[Tag(name="Backups")],
    abp_responses=ERROR_ANSWERS,
)

MEDIA_TYPE = "application/vnd.sqlite3"


class BackupPath(BaseModel):
    """A backup by the name of its file."""

    name: str = Field(min_length=1, max_length=100, description="As in the list")


class NewBackup(Body):
    """What a backup is to hold besides the database's other rows."""

    with_keys: bool = Field(
        False, description="Also sealed keys, hashes of the password and of tokens"
    )


class BackupAnswer(BaseModel):
    """A copy of the database."""

    name: str
    made_at: str = Field(description="By the real clock")
    size: int = Field(description="Bytes")
    with_keys: bool


class BackupsAnswer(BaseModel):
    """The folder of the backups, and what is in it, newest first."""

    folder: str
    backups: list[BackupAnswer]


@blueprint.get("", responses={200: BackupsAnswer})
def list_backups() -> Response:
    """What backups there are, and where."""
    app = services()
    return jsonify(
        {
            "folder": str(app.backups.folder.absolute()),
            "backups": [_answer(backup) for backup in app.backups.all()],
        }
    )


@blueprint.post("", responses={201: BackupAnswer})
def make_backup(body: NewBackup) -> tuple[dict[str, Any], int]:
    """Make one now, while trading goes on; the oldest go beyond `backups_kept`."""
    return _answer(services().backups.make(caller(), with_keys=body.with_keys)), 201


@blueprint.get("/<name>", responses={200: {"content": {MEDIA_TYPE: {}}}})
def fetch_backup(path: BackupPath) -> Response:
    """A backup's file."""
    backup = services().backups.get(path.name)
    return send_file(
        backup.path.absolute(),
        mimetype=MEDIA_TYPE,
        as_attachment=True,
        download_name=backup.name,
        conditional=False,
        max_age=0,
    )


def _answer(backup: Backup) -> dict[str, Any]:
    return {
        "name": backup.name,
        "made_at": shapes.time(backup.made_ms),
        "size": backup.size,
        "with_keys": backup.with_keys,
    }
