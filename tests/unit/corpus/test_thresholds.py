"""No number decides about books without a word on why it is that one."""

import ast
from pathlib import Path

import pytest

CORPUS = Path(__file__).resolve().parents[3] / "scripts" / "mamba_narrative" / "corpus"
MODULES = sorted(CORPUS.rglob("*.py"))


def is_number(value: ast.expr | None) -> bool:
    parts = value.elts if isinstance(value, ast.Tuple) else [value]
    return all(isinstance(part, ast.Constant) and isinstance(part.value, int | float) for part in parts)


@pytest.mark.parametrize("path", MODULES, ids=[str(path.relative_to(CORPUS)) for path in MODULES])
def test_every_number_at_the_top_of_a_module_has_a_reason(path):
    source = path.read_text("utf-8")
    lines = source.splitlines()
    body = ast.parse(source).body
    bare = [
        lines[statement.lineno - 1]
        for statement, following in zip(body, [*body[1:], None], strict=True)
        if isinstance(statement, ast.Assign)
        and is_number(statement.value)
        and not (isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant))
        and "#" not in lines[statement.lineno - 2] + lines[statement.lineno - 1]
    ]
    assert bare == []
