"""Makes this package's methods known to PEFT without importing PEFT (and torch) before its time.

`import rigsa` must make PeftModel.from_pretrained understand a sparse delta, yet Snakemake imports
the package on every call and must not wait for torch. So a PEFT that is already imported is told at
once, and one that comes later when its import is done.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType

# Where the method of each adapter type of our own is; PEFT has the others.
METHOD_MODULES = {
    "sparse_delta": "rigsa.adapters.sparse_delta",
    "neutral_residues": "rigsa.adapters.neutral_residues",
    "full": "rigsa.adapters.full",
    "spiel": "rigsa.adapters.spiel",
    "rosa": "rigsa.adapters.rosa",
    "fine_gates": "rigsa.adapters.fine_gates",
}


def register_methods() -> None:
    """Registers every method now or right after PEFT is imported."""
    if "peft" in sys.modules:
        _import_methods()
    elif not any(isinstance(finder, _AfterPeft) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterPeft())


def _import_methods() -> None:
    for name in METHOD_MODULES.values():
        importlib.import_module(name)


class _AfterPeft(importlib.abc.MetaPathFinder):
    """Finds only `peft`, by the ordinary finder, and runs `_import_methods` after it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "peft":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            # Not before: libraries ask for the spec only to learn whether PEFT is installed.
            sys.meta_path.remove(self)
            execute(module)
            _import_methods()

        spec.loader.exec_module = execute_and_register
        return spec
