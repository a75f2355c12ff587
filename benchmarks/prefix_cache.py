"""P8: few-shot evaluation with the same examples for every item, against lm-eval's plain path.

    python benchmarks/prefix_cache.py --case mnist --items 4 --output prefix_cache.json

All sides ask the same items in one process, turn by turn, from prompt building to scores:

    lm_eval    lm-eval's own HFLM
    generate   ours without the kept beginning, one-token answers by generate() too
    plain      ours without the kept beginning
    prefix     ours: what all prompts begin with is read once

Weights are random. Answers must be the same on all sides; in bfloat16 rounding may change a few.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from measure import paired_ratio, summary

from rigsa.evaluation.harness import go_offline, harness

go_offline()

from lm_eval import evaluator  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402
from transformers import AutoConfig, AutoTokenizer, LlamaConfig, LlamaForCausalLM  # noqa: E402

from rigsa.evaluation.batching import BatchSize  # noqa: E402
from rigsa.evaluation.language_model import InMemoryLM  # noqa: E402
from rigsa.evaluation.samples import sample_rows  # noqa: E402
from rigsa.evaluation.task import load_task  # noqa: E402
from rigsa.files import write_json, write_jsonl  # noqa: E402
from rigsa.models.tokenizer import build_tokenizer  # noqa: E402
from rigsa.tasks.generated import generate  # noqa: E402
from rigsa.tasks.textual_digits import documents, scikit_digits  # noqa: E402
from rigsa.versions import versions  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
GENERATED = ("tiny_gsm", "tiny_piqa", "tiny_hellaswag")


class ByGenerate(InMemoryLM):
    """Leaves answers of one token to generate() as well."""

    def _takes_likeliest(self) -> bool:
        return False


class Stock(HFLM):
    """lm-eval's own, without its bars."""

    def generate_until(self, requests: list, disable_tqdm: bool = True) -> list[str]:
        return super().generate_until(requests, disable_tqdm)

    def loglikelihood(self, requests: list, disable_tqdm: bool = True) -> list:
        return super().loglikelihood(requests, disable_tqdm)


SIDES = {
    "lm_eval": lambda m, t, n: Stock(pretrained=m, tokenizer=t, batch_size=n),
    "generate": lambda m, t, n: ByGenerate(m, t, BatchSize(n), share_prefix=False),
    "plain": lambda m, t, n: InMemoryLM(m, t, BatchSize(n), share_prefix=False),
    "prefix": lambda m, t, n: InMemoryLM(m, t, BatchSize(n)),
}


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    splits = _splits(options.case, options.data, options.items)
    tokenizer = _tokenizer(options, splits)
    model = _model(options, tokenizer)
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in options.sides}
    with tempfile.TemporaryDirectory() as folder:
        files = {name: str(Path(folder) / f"{name}.jsonl") for name in splits}
        for name, docs in splits.items():
            write_jsonl(Path(files[name]), docs)
        # The first round warms up and is not counted.
        for round_ in range(options.repeats + 1):
            for side in options.sides:
                run = _run(side, model, tokenizer, files, options)
                if round_ > 0:
                    runs[side].append(run)
                print(f"{side:9s} {run['seconds']:8.2f} s", flush=True)
    report = _report(runs, options, model, tokenizer)
    print(json.dumps(report["sides"], indent=1))
    if options.output:
        write_json(options.output, report)


def _run(
    side: str, model: Any, tokenizer: Any, files: dict[str, str], options: argparse.Namespace
) -> dict[str, Any]:
    cuda = options.device == "cuda"
    name = "textual_digits" if options.case == "mnist" else options.case
    with harness():
        task = load_task(name, files, options.fewshot, 1234, "first_n")
        language_model = SIDES[side](model, tokenizer, options.batch_size)
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated() if cuda else 0
        start = time.perf_counter()
        outcome = evaluator.evaluate(
            lm=language_model,
            task_dict={"tasks": {name: task}},
            limit=options.items,
            bootstrap_iters=0,
            apply_chat_template=True,
            fewshot_as_multiturn=True,
        )
        seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "peak_bytes": torch.cuda.max_memory_allocated() - held if cuda else None,
        "samples": sample_rows(task, outcome["samples"][name], None)[1],
        "tokens": [len(tokenizer(i.args[0]).input_ids) for i in task.instances],
    }


def _report(
    runs: dict[str, list[dict[str, Any]]],
    options: argparse.Namespace,
    model: Any,
    tokenizer: Any,
) -> dict[str, Any]:
    reference = runs[options.sides[0]][0]["samples"]
    baseline = [run["seconds"] for run in runs[options.sides[0]]]
    sides = {}
    for side, rounds in runs.items():
        seconds = [run["seconds"] for run in rounds]
        samples = rounds[0]["samples"]
        sides[side] = {
            "seconds": summary(seconds),
            f"ratio_to_{options.sides[0]}": paired_ratio(seconds, baseline),
            "peak_mib": max(run["peak_bytes"] for run in rounds) / 2**20
            if options.device == "cuda"
            else None,
            "same_answers": sum(a == b for a, b in zip(samples, reference, strict=True)),
        }
    first = runs[options.sides[0]][0]
    return {
        "benchmark": "prefix_cache",
        "case": options.case,
        "device": torch.cuda.get_device_name() if options.device == "cuda" else platform.machine(),
        "threads": options.threads,
        "dtype": str(model.dtype).removeprefix("torch."),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "hidden_size": model.config.hidden_size,
        "layers": model.config.num_hidden_layers,
        "vocabulary": len(tokenizer),
        "items": len(reference),
        "fewshot": options.fewshot,
        "batch_size": options.batch_size,
        "prompt_tokens": [min(first["tokens"]), max(first["tokens"])],
        "sides": sides,
        "versions": versions(),
    }


def _splits(case: str, data: Path | None, items: int) -> dict[str, list[dict[str, Any]]]:
    if case in GENERATED:
        return generate(case, 0, {"train": 100, "validation": 10, "test": items})
    if case == "textual_digits":
        return scikit_digits()
    random = np.random.default_rng(0)
    count = 10 + items
    if data is None:
        images = random.integers(0, 256, (count, 28, 28))
        labels = random.integers(0, 10, count)
    else:
        images = _idx(data / "mnist" / "train-images-idx3-ubyte.gz", 16, count * 784)
        images = images.reshape(count, 28, 28)
        labels = _idx(data / "mnist" / "train-labels-idx1-ubyte.gz", 8, count)
    docs = documents(images, labels, 256, range(count))
    return {"train": docs[:10], "validation": docs[:1], "test": docs[10:]}


def _idx(path: Path, header: int, count: int) -> np.ndarray:
    import gzip

    with gzip.open(path) as file:
        return np.frombuffer(file.read(header + count)[header:], dtype=np.uint8)


def _tokenizer(options: argparse.Namespace, splits: dict[str, list[dict[str, Any]]]) -> Any:
    if options.case == "mnist" and options.data is not None:
        return AutoTokenizer.from_pretrained(options.data / "smollm2", trust_remote_code=False)
    return build_tokenizer([json.dumps(doc) for docs in splits.values() for doc in docs], 1400)


def _model(options: argparse.Namespace, tokenizer: Any) -> LlamaForCausalLM:
    if options.config is not None:
        config = AutoConfig.from_pretrained(options.config, trust_remote_code=False)
    elif options.case == "mnist":
        config = LlamaConfig(
            hidden_size=512,
            intermediate_size=1536,
            num_hidden_layers=4,
            num_attention_heads=8,
            max_position_embeddings=8192,
        )
    else:
        catalog = yaml.safe_load((ROOT / "studies/catalog/base_models.yaml").read_text())
        config = LlamaConfig(**catalog["embedded"]["architecture"])
        config.intermediate_size = 4 * config.hidden_size
    config.vocab_size = len(tokenizer)
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(config, name, getattr(tokenizer, name))
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16 if options.device == "cuda" else torch.float32)
    with torch.device(options.device):
        model = LlamaForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    return model.requires_grad_(False).eval()


def _options() -> argparse.Namespace:
    shared = os.environ.get("RIGSA_SHARED_DATA")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--case", default="mnist", choices=["mnist", "textual_digits", *GENERATED])
    add("--items", type=int, default=4, help="questions; default: 4")
    add("--fewshot", type=int, default=5, help="examples before each; default: 5")
    add("--batch-size", type=int, default=4, help="questions in one pass; default: 4")
    add("--repeats", type=int, default=3, help="counted rounds; default: 3")
    add("--sides", nargs="+", default=list(SIDES), choices=list(SIDES), help="default: all")
    add("--device", default="cpu", choices=["cpu", "cuda"])
    add("--threads", type=int, default=2, help="CPU threads; default: 2")
    add("--config", type=Path, help="a model's config.json; default: hidden 512, 4 layers")
    add(
        "--data",
        type=Path,
        default=Path(shared) if shared else None,
        help="folder with mnist/ (gzipped IDX) and smollm2/ (tokenizer); default: "
        "RIGSA_SHARED_DATA, and without it random images and digits as tokens",
    )
    add("--output", type=Path, help="JSON file to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
