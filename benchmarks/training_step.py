"""P1, P2, P3, P7: one training step of a sparse delta beside the adapters people use.

    python benchmarks/training_step.py P1 --tokens 128 --output training_step.json

Every side trains the same random Llama (hidden 1024, 4 layers; float32 on a CPU, bfloat16 on a GPU)
on the same rows with the loss at the last token, forward, backward and optimizer. The sides take
turns in one process. Memory is what PyTorch's allocator gave out above the model: adapter,
optimizer state, gradients and activations.

    P1  sparse delta / PEFT LoRA r16            P2  sparse delta / PEFT SHiRA r16, as many entries
    P3  dense sparse delta / full fine-tuning   P7  logits at the answer / all logits

`frozen` is the floor of P1: the same pass through the model without any adapter.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from measure import paired_ratio, peak_bytes, seconds, summary, write
from peft import LoraConfig, ShiraConfig, get_peft_model
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, Trainer

from rigsa.adapters.build import linear_shapes
from rigsa.adapters.sparse_delta import SparseDeltaConfig
from rigsa.heap import keep_freed_memory
from rigsa.machine import Machine
from rigsa.masks.storage import Mask
from rigsa.quiet import quiet
from rigsa.training.loss import answer_loss
from rigsa.training.trainer import training_arguments

RANK = 16
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
FUSED = {"optimizer": "adamw_torch_fused"}
LOW_BIT = {
    "optimizer": "adamw_torch_8bit",
    "optimizer_options": {"bf16_stochastic_round": True},
}
# Each case: its baseline, then the sides compared with it.
CASES = {
    "P1": ["lora", "sparse", "sparse+recompute", "lora+recompute", "frozen"],
    "P2": ["shira", "sparse"],
    "P3": ["full", "dense", "dense+low_bit", "dense+low_bit+recompute"],
    "P7": ["all_logits", "answer_logits"],
}


def base(options: argparse.Namespace) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=4,
        num_attention_heads=16,
        num_key_value_heads=16,
        vocab_size=49152 if options.case == "P7" else 8192,
        max_position_embeddings=2048,
    )
    model = LlamaForCausalLM(config).requires_grad_(False)
    model.config.use_cache = False
    dtype = torch.bfloat16 if options.device == "cuda" else torch.float32
    return model.to(options.device, dtype)


def adapted(side: str, options: argparse.Namespace) -> torch.nn.Module:
    model = base(options)
    if side == "frozen":
        embeddings = model.get_input_embeddings()
        embeddings.register_forward_hook(lambda module, inputs, output: output.requires_grad_())
        return model
    if side == "full":
        for name in linear_shapes(model):
            model.get_submodule(name).requires_grad_(True)
        return model
    if side == "lora":
        return get_peft_model(model, LoraConfig(r=RANK, lora_alpha=32, target_modules=LINEARS))
    if side == "shira":
        return get_peft_model(model, ShiraConfig(r=RANK, target_modules=LINEARS))
    if side.startswith("dense"):
        dtype = "bfloat16" if "low_bit" in side else "float32"
        return get_peft_model(model, SparseDeltaConfig(dtype=dtype))
    return get_peft_model(model, SparseDeltaConfig(mask=mask(model, options)))


def mask(model: torch.nn.Module, options: argparse.Namespace) -> Mask:
    """A random mask of the density, or in P2 with as many entries as SHiRA has in each matrix."""
    generator = torch.Generator().manual_seed(0)
    matrices = {}
    for name, shape in linear_shapes(model).items():
        share = options.density
        if options.case == "P2":
            share = RANK * sum(shape) / shape.numel()
        order = torch.rand(shape.numel(), generator=generator)
        threshold = order.kthvalue(round(share * shape.numel())).values
        matrices[name] = (order <= threshold).view(shape)
    return Mask(matrices)


def optimizer_of(model: torch.nn.Module, side: str) -> torch.optim.Optimizer | None:
    """As a study's training makes it."""
    if side == "frozen":
        return None
    given = LOW_BIT if "low_bit" in side else FUSED
    training = {
        **given,
        "learning_rate": 1e-4,
        "weight_decay": 0.0,
        "schedule": "constant",
        "max_grad_norm": 1.0,
        "epochs": 1,
        "batch_size": 1,
        "logs": 1,
    }
    arguments = training_arguments(training, Machine(), 0, 1, Path("unused"))
    kind, settings = Trainer.get_optimizer_cls_and_kwargs(arguments, model)
    return kind([p for p in model.parameters() if p.requires_grad], **settings)


def step_of(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer | None, side: str, options: Any
) -> Callable[[], None]:
    generator = torch.Generator().manual_seed(1)
    shape = (options.rows, options.tokens)
    ids = torch.randint(0, model.config.vocab_size, shape, generator=generator).to(options.device)
    labels = torch.full_like(ids, -100)
    labels[:, -1] = ids[:, 0]
    if "recompute" in side:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()

    def step() -> None:
        if side == "all_logits":
            logits = model(input_ids=ids).logits[:, :-1].flatten(0, 1)
            loss = cross_entropy(logits.float(), labels[:, 1:].flatten())
        else:
            loss = answer_loss(model, {"input_ids": ids, "labels": labels}, options.rows)
        loss.backward()
        if optimizer is not None:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return step


def lasting_bytes(model: torch.nn.Module, optimizer: torch.optim.Optimizer | None) -> int:
    """Adapter and optimizer state; the model's own weights are not counted."""
    tensors = [b for name, b in model.named_buffers() if "places" in name or "shira" in name]
    own = ("lora_", "shira_", "sparse_delta_")
    tensors += [p for name, p in model.named_parameters() if any(part in name for part in own)]
    for state in optimizer.state.values() if optimizer else []:
        tensors += [value for value in state.values() if isinstance(value, torch.Tensor)]
    return sum(_bytes(tensor) for tensor in tensors)


def _bytes(tensor: torch.Tensor) -> int:
    if hasattr(tensor, "__tensor_flatten__"):  # torchao's quantised state
        return sum(_bytes(getattr(tensor, name)) for name in tensor.__tensor_flatten__()[0])
    return tensor.nbytes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--tokens", type=int, default=128, help="a row; default: 128")
    parser.add_argument("--rows", type=int, default=2, help="default: 2")
    parser.add_argument("--density", type=float, default=0.01, help="default: 0.01")
    parser.add_argument("--sides", nargs="+", help="instead of the case's own")
    parser.add_argument("--rounds", type=int, default=9, help="default: 9")
    parser.add_argument("--threads", type=int, default=2, help="default: 2")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--heap", default="kept", choices=["kept", "default"])
    parser.add_argument("--output", type=Path, help="JSON to write")
    options = parser.parse_args()
    quiet()
    torch.set_num_threads(options.threads)
    if options.heap == "kept":
        keep_freed_memory()
    steps, lasting, peak = {}, {}, {}
    for side in options.sides or CASES[options.case]:
        model = adapted(side.split("+")[0] if "dense" not in side else side, options)
        optimizer = optimizer_of(model, side)
        steps[side] = step_of(model, optimizer, side, options)
        steps[side]()
        lasting[side] = lasting_bytes(model, optimizer)
        peak[side] = peak_bytes(steps[side], options.device)
        print(f"{side} is ready", file=sys.stderr)
    times = seconds(steps, options.rounds)
    first = next(iter(steps))
    rows = {
        side: {
            "seconds": summary(times[side]),
            "lasting_mib": lasting[side] / 2**20,
            "step_mib": peak[side] / 2**20,
            "time_ratio": paired_ratio(times[side], times[first]),
            "memory_ratio": (lasting[side] + peak[side]) / (lasting[first] + peak[first]),
        }
        for side in steps
    }
    print(f"{'':26}{'ms':>8}{'MiB':>8}{'time':>8}{'memory':>8}   / {first}")
    for side, row in rows.items():
        print(
            f"{side:26}{1000 * row['seconds']['median']:8.0f}"
            f"{row['lasting_mib'] + row['step_mib']:8.0f}"
            f"{row['time_ratio']:8.2f}{row['memory_ratio']:8.2f}"
        )
    if options.output:
        write(options.output, {**vars(options), "output": str(options.output)}, rows)


if __name__ == "__main__":
    main()
