"""What closed gates save: forward passes and parameters of a folded model and of the shrunk one.

    python benchmarks/shrunk_model.py --output shrunk_model.json

A Llama of hidden size 1024 with 2 layers has gates of which a share is closed, a whole number in
every matrix: rows and columns by chance (`free`), or those of channels between two matrices alone,
the same on both sides (`aligned`), so that nothing at the residual stream is chosen. Both models
are asked the same tokens turn by turn, and must give the same logits.
"""

import argparse
import copy
from pathlib import Path
from typing import Any

import torch
from measure import paired_ratio, seconds, summary, write
from transformers import LlamaConfig, LlamaForCausalLM

from rigsa.adapters.build import build_adapter
from rigsa.adapters.fine_gates import FineGatesLayer
from rigsa.heap import keep_freed_memory
from rigsa.models.shrinking import shrink_model

CLOSED = -9.0
READING = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj")


def base(options: argparse.Namespace) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=1024,
        hidden_size=options.hidden,
        intermediate_size=4 * options.hidden,
        num_hidden_layers=options.layers,
        num_attention_heads=options.hidden // 64,
        initializer_range=0.05,  # So that every layer matters to the logits.
        tie_word_embeddings=True,
        use_cache=False,
    )
    return LlamaForCausalLM(config).requires_grad_(False).eval()


@torch.no_grad()
def close(adapted: torch.nn.Module, share: float, case: str) -> None:
    """Closes so many gates of each matrix. Aligned ones are those of one channel on all sides, and
    of queries and keys rotary pairs."""
    generator = torch.Generator().manual_seed(1)
    heads = adapted.config.num_attention_heads

    def chosen(size: int) -> torch.Tensor:
        return torch.randperm(size, generator=generator)[: round(share * size)]

    between: dict[tuple[str, str], torch.Tensor] = {}
    for layer in adapted.modules():
        if not isinstance(layer, FineGatesLayer):
            continue
        rows, columns = layer.fine_gates_rows["default"], layer.fine_gates_columns["default"]
        if case == "free":
            rows[chosen(len(rows))] = CLOSED
            columns[chosen(len(columns))] = CLOSED
            continue
        *block, name = layer.module_name.split(".")
        reads = name in READING
        inner = rows if reads else columns
        kind = {"q_proj": "turned", "k_proj": "turned"}.get(name, "plain")
        key = (".".join(block), kind)
        if key not in between:
            width = len(inner) // heads
            size = width if block[-1] == "self_attn" else len(inner)
            if kind == "turned":
                places = chosen(size // 2)
                places = torch.cat((places, places + size // 2))
            else:
                places = chosen(size)
            steps = torch.arange(0, len(inner), size)[:, None]
            between[key] = (steps + places).flatten()
        inner[between[key]] = CLOSED


def measured(share: float, case: str, options: argparse.Namespace) -> dict[str, Any]:
    adapted = build_adapter(base(options), {"type": "fine_gates"}, 0, None)
    close(adapted, share, case)
    full = adapted.merge_and_unload().eval()
    shrunk = copy.deepcopy(full)
    found = shrink_model(shrunk)
    tokens = torch.randint(0, 1024, (options.rows, options.tokens))
    with torch.inference_mode():
        expected, given = full(tokens).logits, shrunk(tokens).logits
        torch.testing.assert_close(given, expected, rtol=1e-3, atol=1e-4)
        times = seconds(
            {"folded": lambda: full(tokens), "shrunk": lambda: shrunk(tokens)}, options.rounds
        )
    linears = sum(
        module.weight.numel()
        for module in full.model.modules()
        if isinstance(module, torch.nn.Linear)
    )
    return {
        "folded_seconds": summary(times["folded"]),
        "shrunk_seconds": summary(times["shrunk"]),
        "time_ratio": paired_ratio(times["shrunk"], times["folded"]),
        "parameters": [found.before, found.after],
        "linear_ratio": 1 - (found.before - found.after) / linears,
        "largest_difference": (given - expected).abs().max().item(),
        "first_layer": found.layers[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hidden", type=int, default=1024, help="default: 1024")
    parser.add_argument("--layers", type=int, default=2, help="default: 2")
    parser.add_argument("--rows", type=int, default=1, help="default: 1")
    parser.add_argument("--tokens", type=int, default=256, help="of a row; default: 256")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.2, 0.4])
    parser.add_argument("--rounds", type=int, default=9, help="default: 9")
    parser.add_argument("--threads", type=int, default=2, help="default: 2")
    parser.add_argument("--output", type=Path, help="JSON to write")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    results = []
    print(
        f"{'closed':>8} {'case':>8} {'weights left':>13} {'folded ms':>10} {'shrunk ms':>10} ratio"
    )
    for case in ("free", "aligned"):
        for share in options.shares:
            row = {"case": case, "closed": share} | measured(share, case, options)
            results.append(row)
            print(
                f"{share:8} {case:>8} {row['linear_ratio']:13.3f} "
                f"{1000 * row['folded_seconds']['median']:10.1f} "
                f"{1000 * row['shrunk_seconds']['median']:10.1f} {row['time_ratio']:.2f}"
            )
    if options.output:
        write(options.output, {**vars(options), "output": str(options.output)}, results)


if __name__ == "__main__":
    main()
