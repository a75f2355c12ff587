# Names that the rules share: file names, specs as text, machine settings as flags.
import json
from pathlib import Path

from rigsa import specs
from rigsa.fingerprint import fingerprint
from rigsa.paths import ResultPaths
from rigsa.study import RULES_AFTER_TRAINING, RULES_WITH_GRADIENTS, Checkpoint


PATHS = ResultPaths(Path(config["results"]), STUDY.name)
DEVICE = resolve_device(config, STUDY)
PRECISION = resolve_precision(config, STUDY)
# A `gpu` resource is a number that Snakemake counts; jobs on the CPU need none.
GPU = int(DEVICE == "cuda")
ANY = PATHS.checkpoint("{arm}", "{seed}", "{step}")
TRAINED_ARMS = [arm.name for arm in STUDY.arms.values() if arm.trained]


wildcard_constraints:
    arm="|".join(STUDY.arms),
    seed=r"\d+",
    step=r"\d+",
    task="|".join(STUDY.task_entries),
    benchmark="|".join(STUDY.benchmarks),


def checkpoint_of(wildcards):
    return PATHS.checkpoint(wildcards.arm, wildcards.seed, wildcards.step)


def machine_flags(threads):
    return (
        f"--device {DEVICE} --threads {threads} --eval-batch-size {config['eval_batch_size']}"
    )
