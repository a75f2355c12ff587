"""P4, P5: training at SmolLM2-1.7B's shape on one GPU, everything in one call.

    python benchmarks/gpu_training.py MODEL_FOLDER --output gpu_training.json

MODEL_FOLDER needs only config.json; weights are random. As in the paper's study: values in
bfloat16, 8-bit optimizer state with stochastic rounding, activations computed again in backward,
logits at the answer alone, rows of 854 tokens. For the dense step and for 3.46 %:

    P4  peak memory at micro-batch 1, and the largest micro-batch in a card of --card-gib (that much
        of this GPU is used, less what a driver takes)
    P5  the step's share of the matrix rate that is measured here: the FLOPs of forward and backward
        are counted, the recomputation is not
"""

import argparse
import gc
import sys
from pathlib import Path
from typing import Any

import torch
from measure import seconds, summary, write
from peft import get_peft_model
from training_step import LOW_BIT, optimizer_of
from transformers import AutoConfig, AutoModelForCausalLM

from rigsa.adapters.build import linear_shapes
from rigsa.adapters.sparse_delta import SparseDeltaConfig
from rigsa.masks.storage import Mask
from rigsa.quiet import quiet
from rigsa.training.loss import answer_loss

TOKENS = 854
BATCH = 16
CONTEXT_GIB = 1.0  # what CUDA and the display take of a card


def adapted(folder: Path, density: float) -> torch.nn.Module:
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.requires_grad_(False)
    model.config.use_cache = False
    mask = None
    if density < 1:
        shapes = linear_shapes(model)
        mask = Mask({n: torch.rand(tuple(s), device="cuda") < density for n, s in shapes.items()})
    model = get_peft_model(model, SparseDeltaConfig(dtype="bfloat16", mask=mask))
    model.gradient_checkpointing_enable({"use_reentrant": False})
    return model.train()


def rows(model: torch.nn.Module, count: int) -> dict[str, torch.Tensor]:
    ids = torch.randint(0, model.config.vocab_size, (count, TOKENS), device="cuda")
    labels = torch.full_like(ids, -100)
    labels[:, -1] = ids[:, 0]
    return {"input_ids": ids, "labels": labels}


def step(model: torch.nn.Module, optimizer: torch.optim.Optimizer, micro_batch: int) -> None:
    """One step of BATCH rows, or of one micro-batch where that is larger."""
    batch = max(BATCH, micro_batch)
    for _ in range(batch // micro_batch):
        answer_loss(model, rows(model, micro_batch), batch).backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def flops(model: torch.nn.Module, rows: int, dense: bool) -> float:
    """Of forward and backward: products with the linears' weights, and causal attention."""
    config = model.config
    weights = sum(shape.numel() for shape in linear_shapes(model.base_model.model).values())
    tokens = rows * TOKENS
    # Half of the scores are masked; two products forward, four backward.
    attention = 6 * config.num_hidden_layers * config.hidden_size * tokens * TOKENS
    return (6 if dense else 4) * weights * tokens + attention


def matrix_rate() -> float:
    """FLOP a second of a large bfloat16 product."""
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    times = seconds({"product": lambda: [a @ a for _ in range(20)]}, 5)["product"]
    return 20 * 2 * 8192**3 / summary(times)["median"]


def fits(model: torch.nn.Module, optimizer: torch.optim.Optimizer, micro_batch: int) -> bool:
    try:
        answer_loss(model, rows(model, micro_batch), micro_batch).backward()
        optimizer.step()
        return True
    except torch.OutOfMemoryError:
        return False
    finally:
        optimizer.zero_grad(set_to_none=True)
        gc.collect()
        torch.cuda.empty_cache()


def largest_micro_batch(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> int:
    low, high = 1, 2
    while fits(model, optimizer, high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(model, optimizer, middle) else (low, middle)
    return low


def measured(density: float, options: argparse.Namespace, rate: float) -> dict[str, Any]:
    torch.cuda.set_per_process_memory_fraction(1.0)
    model = adapted(options.model, density)
    optimizer = optimizer_of(model, "low_bit")
    step(model, optimizer, BATCH)
    torch.cuda.reset_peak_memory_stats()
    fits(model, optimizer, 1)
    peak = torch.cuda.max_memory_allocated()
    result: dict[str, Any] = {"peak_gib_at_1": peak / 2**30, "steps": {}}
    for micro_batch in (1, 8, 16):
        torch.cuda.reset_peak_memory_stats()
        run = {"step": lambda size=micro_batch: step(model, optimizer, size)}
        times = summary(seconds(run, options.rounds)["step"])
        result["steps"][micro_batch] = {
            "seconds": times,
            "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
            "tokens_per_second": BATCH * TOKENS / times["median"],
            "share_of_matrix_rate": flops(model, BATCH, density == 1) / times["median"] / rate,
        }
    total = torch.cuda.get_device_properties(0).total_memory / 2**30
    room = options.card_gib - CONTEXT_GIB
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(1.0, room / total))
    result["largest_micro_batch"] = largest_micro_batch(model, optimizer)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--card-gib", type=float, default=24.0, help="default: 24")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--output", type=Path, help="JSON to write")
    options = parser.parse_args()
    quiet()
    if not torch.cuda.is_available():
        sys.exit("gpu_training.py needs a CUDA device; benchmarks/count_memory.py counts without.")
    rate = matrix_rate()
    print(f"matrix rate {rate / 1e12:.0f} TFLOP/s")
    results: dict[str, Any] = {"matrix_rate": rate}
    for density in (1.0, 0.0346):
        results[str(density)] = found = measured(density, options, rate)
        gc.collect()
        torch.cuda.empty_cache()
        print(
            f"density {density}: {found['peak_gib_at_1']:.1f} GiB at micro-batch 1, micro-batch "
            f"{found['largest_micro_batch']} fits into {options.card_gib:.0f} GiB"
        )
        for size, row in found["steps"].items():
            print(
                f"  micro-batch {size:2}: {row['seconds']['median']:.2f} s a step, "
                f"{row['peak_gib']:.1f} GiB, {row['tokens_per_second']:.0f} tokens/s, "
                f"{100 * row['share_of_matrix_rate']:.0f} % of the matrix rate"
            )
    if options.output:
        settings = {"model": options.model.name, "tokens": TOKENS, "optimizer": LOW_BIT}
        write(options.output, {**settings, "card_gib": options.card_gib}, results)


if __name__ == "__main__":
    main()
