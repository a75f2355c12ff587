"""Studies and result files made up for the analysis: what the other steps would have written."""

import json
from pathlib import Path

import numpy as np

from rigsa.evaluation import samples_file
from rigsa.paths import ResultPaths, record
from rigsa.study import Arm, Benchmark, Study

TASKS = {
    "digits": {"title": "Textual Digits", "chance": 0.1, "stands_for": "Textual MNIST"},
    "sums": {"title": "Tiny GSM", "chance": 0.0, "stands_for": "GSM8k"},
    "pairs": {"title": "Tiny PIQA", "chance": 0.5, "stands_for": "PIQA"},
    "ends": {"title": "Tiny HellaSwag", "chance": 0.25, "stands_for": "HellaSwag"},
}
TRAINING = {"optimizer": "adamw", "learning_rate": 2e-4, "schedule": "linear", "weight_decay": 0.1}
TRAINING |= {"warmup_ratio": 0.1, "epochs": 4, "batch_size": 16, "max_grad_norm": 1.0, "logs": 4}
ADAPTED = 1_572_864


def arm(name: str, title: str, adapter: dict | None = None, **rest: object) -> Arm:
    settings = {"base": "full", "iterations": 1, "mask": None, "training": TRAINING} | rest
    return Arm(name=name, title=title, adapter=adapter, **settings)


def sparse_arm(name: str, title: str, **rest: object) -> Arm:
    return arm(name, title, {"type": "sparse_delta", "init": "uniform"}, **rest)


def imp_arm(name: str, title: str, density: float = 0.0346) -> Arm:
    mask = {"rule": "large_final_same_sign", "density": density}
    return sparse_arm(name, title, iterations=5, mask=mask)


def lora_arm(
    name: str, title: str, rank: int, base: str = "four_bit", alpha: int = 32, **training: object
) -> Arm:
    adapter = {"type": "lora", "r": rank, "lora_alpha": alpha, "lora_dropout": 0.0}
    return arm(name, title, adapter, base=base, training={**TRAINING, **training})


def default_arms() -> list[Arm]:
    return [
        arm("plain", "Base"),
        arm("quantised", "Base, 4-bit", base="four_bit"),
        imp_arm("pruned", "RIGSA"),
        sparse_arm("chance_mask", "Random mask", mask={"rule": "random", "density_of": "pruned"}),
        *(lora_arm(f"q{rank}", f"QLoRA r{rank}", rank) for rank in (1, 4, 8, 16)),
    ]


def make_study(
    arms: list[Arm] | None = None,
    seeds: tuple[int, ...] = (0,),
    figures: dict | None = None,
    name: str = "made_up",
    last_only: tuple[str, ...] = (),
) -> Study:
    """`last_only` names tasks that only an arm's last step is asked."""
    arms = default_arms() if arms is None else arms
    bases = tuple(item.name for item in arms if not item.trained)
    shots = {"sums": 5}
    steps = dict.fromkeys(last_only, "last")
    benchmarks = {
        task: Benchmark(task, task, shots.get(task, 0), steps=steps.get(task, "all"))
        for task in TASKS
    }
    benchmarks["digits_5shot"] = Benchmark("digits_5shot", "digits", 5, arms=bases)
    return Study(
        name=name,
        title="A made-up study",
        gpu=False,
        base_model="none",
        base_model_entry={},
        target_task="digits",
        source_tasks=("sums", "pairs", "ends"),
        task_entries=TASKS,
        seeds=seeds,
        benchmarks=benchmarks,
        arms={item.name: item for item in arms},
        figures=figures or {},
    )


def parameters(item: Arm, density: float | None) -> int:
    if not item.trained:
        return 0
    return round(ADAPTED * density) if density else 1104 * item.adapter["r"]


def score(study: Study, item: Arm, step: int, task: str) -> float:
    """Learning costs sources; pruning gives some back."""
    if not item.trained:
        four_bit = 0.03 if item.base == "four_bit" else 0.0
        known = {"digits": 0.098, "sums": 0.976, "pairs": 0.93, "ends": 0.9}
        return known[task] - four_bit
    order = list(study.arms).index(item.name)
    if task == "digits":
        return 0.97 - 0.012 * (order % 5) - 0.006 * step
    least = {"sums": 0.2, "pairs": 0.72, "ends": 0.61}[task]
    return min(0.97, least + 0.045 * step + 0.03 * (order % 7))


def write_results(study: Study, results: Path, items: int = 500) -> ResultPaths:
    paths = ResultPaths(results, study.name)
    for point in study.checkpoints():
        item, folder = study.arms[point.arm], paths.checkpoint(point.arm, point.seed, point.step)
        sparse = item.trained and item.adapter["type"] == "sparse_delta"
        density = study.density(item.name, point.step) if sparse else None
        (folder.folder / "eval").mkdir(parents=True)
        if item.trained:
            training = {
                "steps": 648,
                "seconds": 70.1,
                "trainable_parameters": parameters(item, density),
                "total_parameters": 1_690_000,
                "adapted_parameters": ADAPTED,
                "density": density,
                "sign_kept": [0.64, 0.95, 0.97, 0.98, 0.99][point.step] if sparse else None,
                "gate": 0.9 if sparse else None,
                "kl_to_base": 1.2,
                "validation_accuracy": 0.95,
                "loss": 0.1,
                "tokens_per_second": 9000,
                "peak_memory_bytes": 123_000_000,
            }
            folder.training.write_text(json.dumps(training))
        for benchmark in study.benchmarks_of(item.name, point.step):
            wanted = score(study, item, point.step, benchmark.task)
            rng = np.random.default_rng([point.seed, point.step, len(item.name), benchmark.fewshot])
            answers = (rng.random(items) < wanted).astype(float)
            file = folder.evaluation(benchmark.name)
            write_evaluation(file, benchmark, answers)
            write_record(file, f"{item.name}-{point.seed}-{point.step}", item.trained)
            write_samples(folder.samples(benchmark.name), answers)
    return paths


def write_tuning(path: Path, rates: tuple[float, ...]) -> None:
    """The last of the rates is chosen."""
    measured = {"validation_loss": 0.1, "validation_accuracy": 0.9, "kl_to_base": 1.0}
    trials = [{"learning_rate": rate, **measured} for rate in rates]
    path.parent.mkdir()
    path.write_text(json.dumps({"learning_rate": rates[-1], "trials": trials}))


def write_perplexity(path: Path, perplexity: float) -> None:
    """Adds it to an evaluation."""
    content = json.loads(path.read_text())
    content["metrics"]["perplexity"] = perplexity
    path.write_text(json.dumps(content))


def write_evaluation(path: Path, benchmark: Benchmark, answers: np.ndarray) -> None:
    metric = "acc" if benchmark.task in ("pairs", "ends") else "exact_match"
    metrics = {metric: float(answers.mean())}
    if benchmark.task == "ends":
        metrics["acc_norm"] = 0.5
    content = {
        "benchmark": benchmark.name,
        "task": benchmark.task,
        "fewshot": benchmark.fewshot,
        "metric": metric,
        "score": float(answers.mean()),
        "stderr": float(answers.std(ddof=1) / np.sqrt(len(answers))),
        "n": len(answers),
        "metrics": metrics,
        "seconds": 4.2,
    }
    path.write_text(json.dumps(content))


def write_record(path: Path, checkpoint: str, trained: bool) -> None:
    """What it was asked of: an adapter, or the base model as it stands."""
    inputs = {"base_model": checkpoint} | ({"adapter": checkpoint} if trained else {})
    record(path).write_text(json.dumps({"spec": {"inputs": inputs}}))


def write_samples(path: Path, answers: np.ndarray) -> None:
    rest = {"response": "7", "target": "7"}
    samples_file.write_samples(
        path, [{"doc_id": item, "score": score, **rest} for item, score in enumerate(answers)]
    )
