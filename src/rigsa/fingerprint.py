"""A fingerprint of the code that a step runs, so that a change of it invalidates its results.

The syntax trees, without docstrings and comments, of a module and of every module of this package
that it imports, directly or not.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

PACKAGE = "rigsa"
ROOT = Path(__file__).parent


def fingerprint(*modules: str) -> str:
    """16 hexadecimal digits for the code behind `modules`, such as "rigsa.training.job"."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += _imports(module)
    text = "\n".join(f"{module} {_tree_hash(module)}" for module in sorted(found))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split(".")[1:])
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if module.split(".")[0] == PACKAGE and candidate.is_file():
            return candidate
    return None


@cache
def _tree(module: str) -> ast.Module:
    tree = ast.parse(_file(module).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return tree


@cache
def _tree_hash(module: str) -> str:
    return hashlib.sha256(ast.dump(_tree(module)).encode()).hexdigest()


@cache
def _imports(module: str) -> tuple[str, ...]:
    """Modules of this package that `module` imports anywhere in its text."""
    return tuple(name for name in _named(module) if _file(name) is not None)


def _named(module: str) -> Iterator[str]:
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            source = resolve_name(source, module) if node.level else source
            yield source
            # `from package import module` names a module of its own.
            yield from (f"{source}.{alias.name}" for alias in node.names)
