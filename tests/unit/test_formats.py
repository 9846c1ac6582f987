"""Each format has one writer and one reader, and what stages share in them has one place."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
FORMATS = "mamba_narrative/corpus/formats/"
TREES = {str(path.relative_to(SCRIPTS)): ast.parse(path.read_text("utf-8")) for path in sorted(SCRIPTS.rglob("*.py"))}
WRITES, READS = {"write_table", "format_table", "write_json_lines"}, {"read_table", "read_json_lines"}
WITH_A_TABLE_OF_THEIR_OWN = {
    "mamba_narrative/acquisition/lock.py",
    "mamba_narrative/acquisition/store.py",
    "mamba_narrative/corpus/overlap/leaks.py",
    "mamba_narrative/reporting/baseline.py",
    "mamba_narrative/tokens/reader.py",
    "mamba_narrative/tokens/writer.py",
}


def calls(module: str, functions: set[str]) -> list[str]:
    """The calls of functions of ``io`` in a module."""
    return [
        ast.unparse(node)
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions
    ]


def test_tables_and_lines_of_json_are_touched_by_the_modules_of_their_formats_alone():
    touching = {module for module in TREES if calls(module, WRITES | READS)} - {"mamba_narrative/io.py"}
    assert {module for module in touching if not module.startswith(FORMATS)} == WITH_A_TABLE_OF_THEIR_OWN


@pytest.mark.parametrize("module", [module for module in TREES if module.startswith(FORMATS)])
def test_a_format_is_written_in_one_place_and_read_in_one(module):
    written, read = calls(module, WRITES), calls(module, READS)
    assert len(written) == len(read) <= 2
    assert len(set(written)) == len(written)
    assert len(set(read)) == len(read)


def literals(tree: ast.AST) -> list[set[object]]:
    """Tuples, lists and sets of constants."""
    return [
        {part.value for part in node.elts if isinstance(part, ast.Constant)}
        for node in ast.walk(tree)
        if isinstance(node, ast.Tuple | ast.List | ast.Set)
    ]


@pytest.mark.parametrize(
    ("values", "module", "times"),
    # The type of a split, beside the tuple, is the second time.
    [
        ({"train", "validation", "test"}, f"{FORMATS}split_table.py", 2),
        ({"keep", "partial"}, f"{FORMATS}decisions.py", 1),
    ],
)
def test_splits_and_used_decisions_are_listed_once(values, module, times):
    assert [name for name, tree in TREES.items() for found in literals(tree) if found == values] == times * [module]
    rules = "".join(path.read_text("utf-8") for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    for fragment in ('"validation", "test"', '"keep", "partial"'):
        assert fragment not in rules


@pytest.mark.parametrize(
    ("ending", "module"),
    [("corpus/books.tsv", "book_table"), (".audit.jsonl", "audit"), (".manifest.tsv", "stripped_texts")],
)
def test_the_name_of_a_file_is_spelled_by_its_format_alone(ending, module):
    spelled = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and str(node.value).endswith(ending) and " " not in str(node.value)
    }
    assert spelled == {f"{FORMATS}{module}.py"}
