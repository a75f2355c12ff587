"""Every file name below the results folder, in one place.

Arguments may be values or Snakemake wildcards such as "{arm}": paths are only put together.
"""

from dataclasses import dataclass
from pathlib import Path

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
REWIND = "rewind.safetensors"
TABLE_FORMATS = ("csv", "md", "tex", "html")
FIGURE_FORMATS = ("pdf", "png")
SAMPLES = ".samples.parquet"


def record(main: Path) -> Path:
    """Where it is written how a result was made: beside its main file."""
    return main.with_suffix(".provenance.json")


def scores_of(samples: Path) -> Path:
    """The scores that a file of samples stands beside."""
    return samples.with_name(samples.name.removesuffix(SAMPLES) + ".json")


@dataclass(frozen=True)
class CheckpointPaths:
    """Files of one checkpoint: an arm, a seed and an IMP step."""

    folder: Path

    @property
    def mask(self) -> Path:
        return self.folder / "mask.safetensors"

    @property
    def adapter(self) -> Path:
        return self.folder / "adapter"

    @property
    def adapter_files(self) -> list[Path]:
        return [self.adapter / name for name in ADAPTER_FILES]

    @property
    def rewind(self) -> Path:
        """A dense step's values at the step that later ones go back to, where they do."""
        return self.adapter / REWIND

    @property
    def training_log(self) -> Path:
        return self.folder / "training.jsonl"

    @property
    def training(self) -> Path:
        return self.folder / "training.json"

    def evaluation(self, benchmark: str) -> Path:
        return self.folder / "eval" / f"{benchmark}.json"

    def samples(self, benchmark: str) -> Path:
        return self.folder / "eval" / f"{benchmark}{SAMPLES}"


@dataclass(frozen=True)
class ResultPaths:
    """Files of one study below `results`; base models and task data are shared by all studies."""

    results: Path
    study: str

    @property
    def folder(self) -> Path:
        return self.results / self.study

    def base_model(self, name: str) -> Path:
        return self.results / "base_models" / name

    def base_model_files(self, name: str, trained: bool = True) -> list[Path]:
        """Of a model that is not trained here, source.json names the files of its weights."""
        made = ("config.json", "model.safetensors", "tokenizer.json", "training.json")
        return (
            [self.base_model(name) / file for file in made]
            if trained
            else [self.base_model(name) / "config.json", self.source("model", name)]
        )

    def source(self, kind: str, name: str) -> Path:
        """Where a base model ("model") or a task's data ("dataset") came from, with the commit."""
        return (self.base_model(name) if kind == "model" else self.task(name)) / "source.json"

    @property
    def sources(self) -> Path:
        """All of them that the study uses."""
        return self.folder / "sources.json"

    def task(self, name: str) -> Path:
        return self.results / "tasks" / name

    def task_files(self, name: str) -> list[Path]:
        files = ("train.jsonl", "validation.jsonl", "test.jsonl", "info.json")
        return [self.task(name) / file for file in files]

    def checkpoint(self, arm: str, seed: int | str, step: int | str) -> CheckpointPaths:
        return CheckpointPaths(self.folder / "arms" / arm / f"seed{seed}" / f"step{step}")

    @property
    def cache(self) -> Path:
        """What jobs found out about this machine; it can be deleted at any time."""
        return self.results / "cache"

    def tuning(self, arm: str) -> Path:
        """Which of the arm's learning rates was chosen, and by what."""
        return self.folder / "tuning" / f"{arm}.json"

    @property
    def scores(self) -> Path:
        """One row per checkpoint and benchmark: what every table and figure is made from."""
        return self.folder / "tables" / "scores.csv"

    def table(self, name: str) -> list[Path]:
        return [self.folder / "tables" / f"{name}.{suffix}" for suffix in TABLE_FORMATS]

    def figure(self, name: str) -> list[Path]:
        return [self.folder / "figures" / f"{name}.{suffix}" for suffix in FIGURE_FORMATS]

    @property
    def chat(self) -> Path:
        """The conversation that figure 6 shows."""
        return self.folder / "figures" / "chat.json"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    def unfinished(self, *parts: str) -> Path:
        """Where a job of the study keeps what it has done so far, until it has succeeded."""
        return self.results / "unfinished" / "-".join((self.study, *parts))

    def unfinished_base_model(self, name: str) -> Path:
        return self.results / "unfinished" / f"base_model-{name}"

    def log(self, *parts: str) -> Path:
        return self.folder / "logs" / ("-".join(parts) + ".log")
