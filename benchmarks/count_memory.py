"""Counts the bytes of training RIGSA's dense step at SmolLM2-1.7B's shape, tensor by tensor.

A count, not a measurement: the model, the adapter, a forward and a backward pass and the optimizer
run on PyTorch's meta device, where tensors have shapes and types but no content, and every storage
is followed from its making to its end. Beside it stands what `rigsa plan` forecasts.

    python benchmarks/count_memory.py MODEL_FOLDER [--json FILE]
"""

import argparse
import json
import weakref
from collections import Counter
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AttentionInterface, AutoConfig, AutoModelForCausalLM, PreTrainedModel

from rigsa.adapters.build import build_adapter
from rigsa.forecast.described import adapter_of
from rigsa.forecast.memory import LASTING, optimizer_bytes, training_memory
from rigsa.forecast.shape import read_shape
from rigsa.forecast.show import table
from rigsa.forecast.workload import Workload
from rigsa.quiet import quiet

MICRO_BATCHES = (1, 8, 16)
TOKENS = 854  # an image of 28x28 with its question and answer
GIB = 2**30
EIGHT_BIT = "adamw_torch_8bit"


class LiveStorages(TorchDispatchMode):
    """Follows every storage that is made under it; `peak` is the most that lived at once.

    Storages made before and named in `known` count as what they are; all others as "passing".
    """

    def __init__(self, known: dict[int, tuple[str, int]]) -> None:
        super().__init__()
        self.known = known
        self.live: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()
        self.followed: set[int] = set()
        for kind, size in known.values():
            self.live[kind] += size

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self._follow(leaf.untyped_storage())
        if self.live.total() > self.peak.total():
            self.peak = self.live.copy()
        return result

    def _follow(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self.known or key in self.followed:
            return
        self.followed.add(key)
        self.live["passing"] += storage.nbytes()
        weakref.finalize(storage, self._ended, key, storage.nbytes())

    def _ended(self, key: int, size: int) -> None:
        self.followed.discard(key)
        self.live["passing"] -= size


def flash_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """The kernel that a GPU takes by itself; the meta device would take one that keeps scores."""
    output = torch.ops.aten._scaled_dot_product_flash_attention(query, key, value, 0.0, True)[0]
    return output.transpose(1, 2), None


def adapted_model(folder: Path, dtype: str) -> PreTrainedModel:
    """SmolLM2's shape with a dense sparse delta, on the meta device, recomputing activations."""
    AttentionInterface.register("counted", flash_attention)
    config = AutoConfig.from_pretrained(
        folder,
        local_files_only=True,
        trust_remote_code=False,
        attn_implementation="counted",
    )
    with torch.device("meta"):
        base = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    base.requires_grad_(False)
    base.config.use_cache = False
    model = build_adapter(base, {"type": "sparse_delta", "dtype": dtype}, seed=0, mask=None)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    return model.train()


def count(folder: Path, dtype: str, micro_batch: int) -> dict[str, int]:
    """Bytes at the peak of a pass by what they are for, and of AdamW's full state."""
    model = adapted_model(folder, dtype)
    known = {}
    for parameter in model.parameters():
        kind = "adapter values" if parameter.requires_grad else "base weights"
        storage = parameter.untyped_storage()
        known[storage._cdata] = (kind, storage.nbytes())
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # Those of an earlier micro-batch are there already when the next one's backward comes.
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter)
        storage = parameter.grad.untyped_storage()
        known[storage._cdata] = ("gradients", storage.nbytes())
    ids = torch.zeros((micro_batch, TOKENS), dtype=torch.long, device="meta")
    answers = torch.zeros(micro_batch, dtype=torch.long, device="meta")
    with LiveStorages(known) as storages:
        logits = model(input_ids=ids, logits_to_keep=1).logits
        F.cross_entropy(logits[:, 0].float(), answers).backward()
    # Of AdamW's forms only the plain loop runs on the meta device; all have the same state.
    optimizer = torch.optim.AdamW(trained, foreach=False)
    optimizer.step()
    state = [leaf for leaf in tree_leaves(optimizer.state) if isinstance(leaf, torch.Tensor)]
    return {**storages.peak, "optimizer state": sum(leaf.nbytes for leaf in state)}


def forecast(folder: Path, dtype: str, micro_batch: int, optimizer: str) -> dict[str, int]:
    """The same by `rigsa plan`'s functions, with what passes in one sum."""
    shape = read_shape(folder / "config.json")
    adapter = adapter_of(shape, {"type": "sparse_delta", "dtype": dtype}, 1.0)
    work = Workload(shape, adapter, 2, optimizer, TOKENS, micro_batch, recompute=True)
    parts = training_memory(work)
    lasting = {name: parts[name] for name in LASTING if parts[name]}
    return {**lasting, "passing": sum(parts.values()) - sum(lasting.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="folder with SmolLM2-1.7B's config.json")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts")
    options = parser.parse_args()
    quiet()
    print("A count on the meta device, not a measurement. GiB, dense step 0.\n")
    results = []
    for dtype in ("float32", "bfloat16"):
        for micro_batch in MICRO_BATCHES:
            counted = count(options.model, dtype, micro_batch)
            expected = forecast(options.model, dtype, micro_batch, "adamw_torch_fused")
            results.append(
                {"dtype": dtype, "micro_batch": micro_batch}
                | {"counted": counted, "forecast": expected}
            )
            print(_table(options.model, dtype, micro_batch, counted, expected))
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def _table(
    folder: Path, dtype: str, micro_batch: int, counted: dict[str, int], expected: dict[str, int]
) -> str:
    shape = read_shape(folder / "config.json")
    adapter = adapter_of(shape, {"type": "sparse_delta", "dtype": dtype}, 1.0)
    saved = counted["optimizer state"] - optimizer_bytes(EIGHT_BIT, adapter)
    rows = [(f"Values in {dtype}, micro-batch {micro_batch}", "counted", "forecast", "ratio"), None]
    for name in expected:
        rows.append((name, *_cells(counted.get(name, 0), expected[name])))
    totals = sum(counted.values()), sum(expected.values())
    rows += [None, ("together", *_cells(*totals))]
    rows.append((f"the same with {EIGHT_BIT}", *_cells(totals[0] - saved, totals[1] - saved)))
    return table(rows) + "\n"


def _cells(counted: int, expected: int) -> tuple[str, str, str]:
    return f"{counted / GIB:.3f}", f"{expected / GIB:.3f}", f"{expected / max(counted, 1):.3f}"


if __name__ == "__main__":
    main()
