"""Trainings with one process and with two, in forks of this one: imports cost more than they do.

    python -m tests.training.rank_runs BASE_MODEL TASK_DATA FOLDER

What comes of each lies in FOLDER/<name>/<processes>/; its log, and its exit codes, beside it.
"""

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from rigsa.files import write_jsonl
from rigsa.training import ranks, trainer
from rigsa.training.loss import answer_loss
from tests.faults.process import forked, import_all, wait
from tests.training.test_job import SPEC
from tests.training.test_replay import GSM

SPARSE, TRAINING = SPEC["adapter"], {**SPEC["training"], "epochs": 1}
LORA = {"type": "lora", "r": 4, "lora_alpha": 8}
FOUR_BIT = {"quant_type": "nf4", "compute_dtype": "float32", "double_quant": True}
REPLAY = {"share": 0.25, "tasks": ["gsm"]}
ROUNDED = {"optimizer": "adamw_torch_8bit", "optimizer_options": {"bf16_stochastic_round": True}}
# Batches of 8 are shared equally; those of 7 are not, and of the last one of 47 has a single row.
ALIKE = {
    "dense": {},
    "masked": {"training": {**TRAINING, "batch_size": 7}},
    "single": {"training": {**TRAINING, "batch_size": 47, "epochs": 2}},
    # Places move after steps 2 and 5 of 7.
    "spiel": {
        "adapter": {"type": "spiel", "every": 3, "gather": 2},
        "training": {**TRAINING, "batch_size": 7},
    },
    "lora": {"adapter": LORA, "training": {**TRAINING, "batch_size": 7}},
    "qlora": {"adapter": LORA, "quantization": FOUR_BIT},
    # With a penalty on two rows of seven, which are one rank's.
    "replay": {
        "adapter": {"type": "neutral_residues", "width": 8, "coefficient": 1.0},
        "training": {**TRAINING, "batch_size": 7, "replay": REPLAY},
        "replayed": [{"task": "gsm", "lm_eval": "tiny_gsm"}],
    },
}
# What draws random numbers in the passes, and what does in the optimizer.
BY_CHANCE = {
    "dropout": {
        "adapter": {**LORA, "lora_dropout": 0.3},
        "training": {**TRAINING, "batch_size": 7},
    },
    "rounding": {
        "adapter": {**SPARSE, "dtype": "bfloat16"},
        "training": {**TRAINING, **ROUNDED},
    },
}
# Dense and masked deltas with the base model's weights shared out, and put together once more for
# activations. LoRA is below, and broken off.
PARTS = ("--shard-base-model", "--activation-checkpointing", "full")
SHARDED = ("masked-sharded", "single-sharded", "replay-sharded", "spiel-sharded")
FLAGS = ("--micro-batch-size", "3", "--checkpoint-steps", "2")


class Fork:
    """As much of subprocess.Popen as is used of a rank."""

    def __init__(
        self, command: Sequence[str], own: Mapping[str, str], log: Path, held: Sequence[int]
    ) -> None:
        with ranks._environment(own):
            self.pid = forked([*command], Path.cwd(), log)
        self.code = None

    def poll(self) -> int | None:
        if self.code is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if done else None
        return self.code

    def wait(self, timeout: float | None = None) -> int:
        self.code = wait(self.pid) if self.code is None else self.code
        return self.code

    def kill(self) -> None:
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)


class Broken:
    """answer_loss, which comes to an end of some kind in one pass of one rank."""

    def __init__(self) -> None:
        self.at, self.passes = (0, 0, ""), 0

    def __call__(self, *args):
        rank, at, end = self.at
        self.passes += 1
        here = int(os.environ.get("RANK", 0)) == rank and self.passes == at
        if here and end.startswith("SIG"):
            os.kill(os.getpid(), signal.Signals[end])
        if here and end == "memory":
            raise torch.OutOfMemoryError
        return answer_loss(*args) * (float("nan") if here and end == "nan" else 1)


def main(base: str, task: str, folder: Path) -> None:
    import_all()
    torch.set_num_threads(1)
    torch.compiler.set_stance("force_eager")
    ranks._start, ranks.GRACE_SECONDS = Fork, 4.0
    broken = trainer.answer_loss = Broken()
    codes: dict[str, list[int]] = {}
    write_jsonl(folder / "gsm" / "train.jsonl", GSM)

    def run(name: str, gpus: int, end: tuple[int, int, str] = (0, 0, "")) -> None:
        place = folder / name / str(gpus)
        sharded = PARTS if name.endswith("-sharded") else ()
        (place / "arm").mkdir(parents=True, exist_ok=True)
        broken.at = end
        kind = name.split("-")[0]
        spec = {**SPEC, "training": TRAINING, **ALIKE.get(kind, {}), **BY_CHANCE.get(kind, {})}
        more = {
            "masked": ["--mask", str(folder / "mask.safetensors")],
            "spiel": ["--mask", str(folder / "mask.safetensors")],
            "replay": ["--replay-data", str(folder / "gsm")],
        }.get(kind, [])
        command = [
            *("train", json.dumps(spec), "--base-model", base, "--task-data", task, *more),
            *("--output", str(place / "arm"), "--unfinished", str(place / "unfinished")),
            *(*FLAGS, *sharded, "--threads", str(gpus), "--gpus", str(gpus)),
        ]
        code = wait(forked(command, Path.cwd(), place / "log"))
        codes.setdefault(f"{name}/{gpus}", []).append(code)

    for name in ALIKE:
        run(name, 1)
        run(name, 2)
    for name in (*BY_CHANCE, *SHARDED):
        run(name, 2)
    # Two passes a step and rank: in its second step, then in the next, then in the next.
    for at, end in ((4, "SIGKILL"), (3, "memory"), (3, "nan")):
        run("dropout-rank", 2, (1, at, end))
    run("dropout-rank", 2)
    for end in ((1, 3, "memory"), (0, 3, "SIGTERM")):
        run("dropout-sharded", 2, end)
    run("dropout-sharded", 2)
    for end in ("SIGKILL", "SIGTERM"):
        run("rounding-job", 2, (0, 5, end))
    run("rounding-job", 2)
    (folder / "codes.json").write_text(json.dumps(codes))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
