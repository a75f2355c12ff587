"""A fingerprint of the code that a job runs, so that a change of it invalidates its results.

The syntax trees, without docstrings and comments, of a module and of every module of this package
that it imports, directly or not. The same on every version of Python.
"""

import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

PACKAGE = "rigsa"
ROOT = Path(__file__).parent
# What they say names files or code, is read by people, refuses something or spares time: no number
# is theirs.
DECIDE_NOTHING = frozenset(
    {
        "rigsa.adapters.registration",
        "rigsa.collector",
        "rigsa.errors",
        "rigsa.methods",
        "rigsa.paths",
        "rigsa.versions",
    }
)


def code_behind(
    *modules: str, only: Mapping[str, str] | None = None, without: tuple[str, ...] = ()
) -> dict[str, str]:
    """A hash of each module behind `modules`, such as "rigsa.training.job", by its name.

    Args:
        only: which entry a job uses of a module's tables (dictionaries with names as keys), by
            module. The other entries, and what is imported for them alone, are not behind it.
        without: modules that the job imports and does not run.
    """
    return dict(_behind(modules, tuple((only or {}).items()), without))


def fingerprint(code: Mapping[str, str]) -> str:
    """16 hexadecimal digits for what `code_behind` found."""
    text = json.dumps(dict(code), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _behind(
    modules: tuple[str, ...], only: tuple[tuple[str, str], ...], without: tuple[str, ...]
) -> Mapping[str, str]:
    entries, found, waiting = dict(only), {}, list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found and module not in DECIDE_NOTHING and module not in without:
            found[module] = _tree_hash(module, entries.get(module))
            waiting += _imports(module, entries.get(module))
    return dict(sorted(found.items()))


def _file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split(".")[1:])
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if module.split(".")[0] == PACKAGE and candidate.is_file():
            return candidate
    return None


@cache
def _tree(module: str, entry: str | None = None) -> ast.Module:
    tree = ast.parse(_file(module).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    if entry is not None:
        _keep_only(tree, entry)
    return tree


def _keep_only(tree: ast.Module, entry: str) -> None:
    """Takes the other entries out of the module's tables, and the imports that only they use."""
    for node in tree.body:
        table = getattr(node, "value", None)
        if isinstance(table, ast.Dict) and all(_is_name(key) for key in table.keys):
            pairs = zip(table.keys, table.values, strict=True)
            kept = [(key, value) for key, value in pairs if key.value == entry]
            table.keys, table.values = [key for key, _ in kept], [value for _, value in kept]
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [a for a in node.names if (a.asname or a.name.split(".")[0]) in used]
            node.names = names


def _is_name(key: ast.expr | None) -> bool:
    return isinstance(key, ast.Constant) and isinstance(key.value, str)


@cache
def _tree_hash(module: str, entry: str | None = None) -> str:
    text = json.dumps(_plain(_tree(module, entry)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(node: Any) -> Any:
    """A syntax tree as lists. Not ast.dump, whose text differs between versions of Python."""
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node))
        given = [[name, _plain(value)] for name, value in fields if value not in (None, [])]
        return [type(node).__name__, given]
    return [_plain(item) for item in node] if isinstance(node, list) else repr(node)


@cache
def _imports(module: str, entry: str | None = None) -> tuple[str, ...]:
    """Modules of this package that `module` imports anywhere in its text."""
    return tuple(name for name in _named(module, entry) if _file(name) is not None)


def _named(module: str, entry: str | None) -> Iterator[str]:
    for node in ast.walk(_tree(module, entry)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.names:
            source = "." * node.level + (node.module or "")
            source = resolve_name(source, module) if node.level else source
            yield source
            # `from package import module` names a module of its own.
            yield from (f"{source}.{alias.name}" for alias in node.names)
