"""`python -m scripts.api_table`: the table of routes in docs/api.md, written from the app itself."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from app import create_app
from config import Config
from route_scopes import is_open, scope_needed

PAGE = Path(__file__).parent.parent / "docs" / "api.md"
BEGIN, END = "<!-- routes -->\n", "<!-- end of routes -->"
METHODS = ("get", "post", "put", "delete")


def route_table(document: dict[str, Any]) -> str:
    """Every route of an OpenAPI document: method, path, the scope that a token needs, what it does."""
    lines = ["| method | path | scope | |", "| --- | --- | --- | --- |"]
    for path, operations in sorted(document["paths"].items()):
        for method in METHODS:
            if method in operations:
                name = method.upper()
                scope = "–" if is_open(name, path) else scope_needed(name, path)
                lines.append(f"| {name} | `{path}` | {scope} | {operations[method]['summary']} |")
    return "\n".join(lines) + "\n"


def with_table(page: str, table: str) -> str:
    """`page` with `table` between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main() -> None:
    """Write the page anew."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Config(DATABASE_PATH=Path(folder) / "none.db"))
        PAGE.write_text(with_table(PAGE.read_text("utf-8"), route_table(app.api_doc)), "utf-8")


if __name__ == "__main__":
    main()
