# Names that the rules share: file names, specs as text, machine settings as flags.
import sys
from pathlib import Path
from subprocess import CalledProcessError

from rigsa import specs
from rigsa.adapters.registration import METHOD_MODULES
from rigsa.bases import model_of
from rigsa.fingerprint import fingerprint
from rigsa.mask_rules import RULES_AFTER_TRAINING, RULES_WITH_GRADIENTS
from rigsa.paths import ResultPaths

PATHS = ResultPaths(Path(config["results"]), STUDY.name)
DEVICE = resolve_device(config, STUDY)
PRECISION = resolve_precision(config, STUDY)
# A `gpu` resource is a number that Snakemake counts; jobs on the CPU need none.
GPU = int(DEVICE == "cuda")
ANY = PATHS.checkpoint("{arm}", "{seed}", "{step}")
# What the rules run in: documented by this file; jobs use the environment that Snakemake runs in.
ENVIRONMENT = "../../environment.yml"
TARGET_DATA = PATHS.task(STUDY.target_task)
TARGET_FILES = PATHS.task_files(STUDY.target_task)
TRAINED_HERE = STUDY.base_model_entry["source"] == "trained"
FETCHES = {f"fetch_{source.name}": source for source in SOURCES}
TRAINED_ARMS = [arm.name for arm in STUDY.arms.values() if arm.trained]


wildcard_constraints:
    arm="|".join(STUDY.arms),
    seed=r"\d+",
    step=r"\d+",
    task="|".join(STUDY.task_entries),
    benchmark="|".join(STUDY.benchmarks),


def fetch_first(jobs):
    """Gets what is missing before any other job starts, so that a failure costs no computing.

    It is no input of all other jobs, because one new task would then invalidate every training.
    """
    names = {job.rule.name for job in jobs}
    if names <= {*FETCHES, "fetch", "sources"}:
        return
    for name in FETCHES:
        if name in names:
            spec = specs.canonical(FETCHES[name].spec)
            folder = PATHS.source(FETCHES[name].kind, FETCHES[name].name).parent
            try:
                shell("rigsa fetch {spec:q} --output {folder:q}")
            except CalledProcessError:
                sys.exit(
                    "Error: not all models and data are at hand; nothing was started."
                )


def checkpoint_of(wildcards):
    return PATHS.checkpoint(wildcards.arm, wildcards.seed, wildcards.step)


def base_model(wildcards):
    """Folder of the base model that the arm starts from."""
    return PATHS.base_model(model_of(STUDY, wildcards.arm))


def base_model_files(wildcards):
    return PATHS.base_model_files(model_of(STUDY, wildcards.arm), TRAINED_HERE)


def source_files(source):
    """What fetching it makes, as far as it is known beforehand."""
    if source.kind == "model":
        return PATHS.base_model_files(source.name, trained=False)
    return [PATHS.source(source.kind, source.name)]


def task_inputs(wildcards):
    """What a task's data are made from: what was fetched, or the whole of a subset."""
    entry = STUDY.task_entries[wildcards.task]
    if "subset_of" in entry:
        return PATHS.task_files(entry["subset_of"])
    return [PATHS.source("dataset", wildcards.task)] if "hub" in entry else []


def machine_flags(threads):
    return (
        f"--device {DEVICE} --threads {threads} --attention {config['attention']} "
        f"--eval-batch-size {config['eval_batch_size']}"
    )


def training_flags():
    return (
        f"--micro-batch-size {config['micro_batch_size']} "
        f"--activation-checkpointing {config['activation_checkpointing']} "
        f"--dataloader-workers {config['dataloader_workers']}"
        + " --compile" * config["compile"]
    )


def adapter_code(step, arm):
    """Fingerprint of a step that runs with the arm's adapter."""
    kind = (STUDY.arms[arm].adapter or {}).get("type")
    return fingerprint(
        step, *([METHOD_MODULES[kind]] if kind in METHOD_MODULES else [])
    )


def mask_code(arm):
    """Fingerprint of choosing the arm's masks."""
    modules = ["rigsa.masks.job", "rigsa.models.shapes"]
    if STUDY.arms[arm].mask["rule"] in RULES_WITH_GRADIENTS:
        return adapter_code("rigsa.training.gradients", arm) + fingerprint(*modules)
    return fingerprint(*modules)


def mask_inputs(wildcards):
    """Files that the arm's rule looks at, by the flag of `rigsa select-mask` that takes them."""
    arm, step = STUDY.arms[wildcards.arm], int(wildcards.step)
    criterion, files = arm.mask["rule"], {}
    if step > 0:
        before = PATHS.checkpoint(arm.name, wildcards.seed, step - 1)
        if criterion in RULES_AFTER_TRAINING:
            files["previous_adapter"] = before.adapter_files
        if arm.masked(step - 1):
            files["previous_mask"] = before.mask
    if "density_of" in arm.mask:
        last = STUDY.last_checkpoint(arm.mask["density_of"], wildcards.seed)
        files["reference_mask"] = PATHS.checkpoint(last.arm, last.seed, last.step).mask
    if criterion in RULES_WITH_GRADIENTS:
        files["task_data"] = TARGET_FILES
    return files


def mask_flags(wildcards):
    """The same as flags; a folder is named by its folder, not by its files."""
    flags = []
    for name, files in mask_inputs(wildcards).items():
        place = files[0].parent if isinstance(files, list) else files
        flags += [f"--{name.replace('_', '-')}", str(place)]
    return flags


def train_inputs(wildcards):
    masked = STUDY.arms[wildcards.arm].masked(int(wildcards.step))
    return {"mask": checkpoint_of(wildcards).mask} if masked else {}


def evaluation_inputs(wildcards):
    files = {"task_data": PATHS.task_files(STUDY.benchmarks[wildcards.benchmark].task)}
    if STUDY.arms[wildcards.arm].trained:
        files["adapter"] = checkpoint_of(wildcards).adapter_files
    return files
