"""Nothing that a caller says becomes a part of SQL's text: values are bound, names are our own."""

import ast
from collections.abc import Iterator
from pathlib import Path

REPOSITORIES = Path(__file__).parent.parent / "repositories"
# Parameters in the text of a statement all the same, each looked at.
REVIEWED = {
    "aitradegame.rows: order": "a name that the module's own callers give, from its constants",
    "aitradegame.rows: table": "quoted, and looked up in the file's own schema",
    "aitradegame._count_of: name": "quoted, and looked up in the file's own schema",
    "cycles._interrupt: condition": "one of two constants of the module's own callers",
    "instruments.tick_sizes: symbols": "only how many there are, for as many question marks",
}


def test_no_parameter_becomes_a_part_of_a_statement():
    assert set(parameters_in_statements()) == REVIEWED.keys()


def parameters_in_statements() -> Iterator[str]:
    for file in sorted(REPOSITORIES.glob("*.py")):
        for function in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef):
                for name in sorted(formatted(function) & parameters(function)):
                    yield f"{file.stem}.{function.name}: {name}"


def parameters(function: ast.FunctionDef) -> set[str]:
    given = function.args
    every = (*given.posonlyargs, *given.args, *given.kwonlyargs)
    return {argument.arg for argument in every} - {"self"}


def formatted(function: ast.FunctionDef) -> set[str]:
    """The names that stand in braces in what the function has executed."""
    return {
        name.id
        for call in ast.walk(function)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in ("execute", "executemany", "executescript")
        and call.args
        for part in ast.walk(call.args[0])
        if isinstance(part, ast.FormattedValue | ast.BinOp)
        for name in ast.walk(part)
        if isinstance(name, ast.Name)
    }
