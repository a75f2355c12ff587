"""What a study takes from outside: base models and data, from the hub or from a folder.

Snakemake asks on every call, so nothing here imports torch or looks at the network.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rigsa.bases import models_from_outside
from rigsa.catalog import CATALOG
from rigsa.errors import ConfigError, FileError
from rigsa.models.folder import check_model_folder
from rigsa.study import Study
from rigsa.tasks.mnist import IDX_FILES, idx_file
from rigsa.tasks.stock import asked_split, shown_split, stock_task
from rigsa.validation import one_of


@dataclass(frozen=True)
class Source:
    """One base model or one task's data, and where it comes from: the hub or a folder.

    `spec` is what `rigsa fetch` is given; `name` that of the folder below base_models/ or tasks/.
    """

    kind: str  # model or dataset
    name: str
    spec: Mapping[str, Any]

    @property
    def folder(self) -> Path | None:
        return Path(self.spec["folder"]) if "folder" in self.spec else None

    @property
    def note(self) -> str:
        """What fetching it means, for people."""
        what = f"the {self.kind} {self.name}"
        if self.folder is not None:
            return f"Link {what} from the folder {self.folder}"
        return f"Get {what} from the hub: {self.spec['repository']} at {self.spec['revision']}"


def sources(study: Study, config: Mapping[str, Any]) -> list[Source]:
    """All that the study needs from outside, after config.yaml's `model_dir` and `data_dir`.

    Raises ConfigError where these name nothing that could come from a folder.
    """
    models, data = config.get("model_dir") or {}, config.get("data_dir") or {}
    outside = models_from_outside(study)
    _check_names("model_dir", models, outside)
    _check_names("data_dir", data, [n for n, entry in study.task_entries.items() if "hub" in entry])
    found = [_model(study, name, models.get(name)) for name in outside]
    return found + [
        _dataset(study, name, data.get(name))
        for name in tasks_used(study)
        if "hub" in study.task_entries[name]
    ]


def check_folders(study: Study, found: list[Source]) -> None:
    """Raises FileError, naming folder and file, where a folder lacks what the study needs."""
    for source in found:
        if source.folder is None:
            continue
        key = "model_dir" if source.kind == "model" else "data_dir"
        if not source.folder.is_dir():
            raise FileError(
                f"config.yaml: {key}.{source.name} is {str(source.folder)!r}, which is no folder "
                f"here; leave {key}.{source.name} out to use the hub, or name the right folder."
            )
        if source.kind == "model":
            where = f"config.yaml: {key}.{source.name}, {source.folder},"
            check_model_folder(source.folder, where, four_bit=source.spec["four_bit"])
        elif "images" in source.spec:
            for name in (file for files in IDX_FILES.values() for file in files):
                idx_file(source.folder, name)
        else:
            for split in _splits_needed(study, source.name):
                _need(
                    source.folder / f"{split}.jsonl",
                    "it must hold the split's items as JSON lines with the columns of the hub",
                )


def tasks_used(study: Study) -> list[str]:
    """Every task whose data the study needs, in the order of their first use."""
    asked = (benchmark.task for benchmark in study.benchmarks.values())
    learnt = study.base_model_entry.get("tasks", ())
    direct = [study.target_task, *study.source_tasks, *asked, *learnt]
    parents = [study.task_entries[task].get("subset_of") for task in direct]
    return list(dict.fromkeys(task for task in (*direct, *parents) if task is not None))


def _model(study: Study, name: str, folder: str | None) -> Source:
    entry = study.base_model_entry
    four_bit = name != study.base_model
    entry = entry["four_bit"] if four_bit else entry
    if folder is None:
        folder = entry.get("folder")
    place = {"folder": folder} if folder else _hub(entry, entry.get("repository"))
    return Source("model", name, {"kind": "model", "four_bit": four_bit, **place})


def _dataset(study: Study, name: str, folder: str | None) -> Source:
    entry = study.task_entries[name]
    images = {"images": entry["images"]} if "images" in entry else {}
    if folder:
        return Source("dataset", name, {"kind": "dataset", **images, "folder": folder})
    repository = entry["hub"].get("repository")
    if not images:
        # Stock tasks name their data themselves, and nothing of them is changed here.
        repository = stock_task(entry["lm_eval"])["dataset_path"]
    return Source("dataset", name, {"kind": "dataset", **images, **_hub(entry["hub"], repository)})


def _hub(entry: Mapping[str, Any], repository: str) -> dict[str, str]:
    return {"repository": repository, "revision": entry.get("revision", "main")}


def _splits_needed(study: Study, task: str) -> list[str]:
    lm_eval = study.task_entries[task]["lm_eval"]
    shots = any(b.fewshot for b in study.benchmarks.values() if b.task == task)
    learnt = any(task in arm.replayed for arm in study.arms.values())
    return [asked_split(lm_eval), *[shown_split(lm_eval)] * shots, *["train"] * learnt]


def _check_names(key: str, given: Mapping[str, str], known: list[str]) -> None:
    for name in given:
        if name not in known:
            ending = one_of(name, known) if known else f"in this study nothing of {CATALOG} can."
            raise ConfigError(
                f"config.yaml: {key} names {name!r}, which comes from no folder; {ending}"
            )


def _need(file: Path, why: str) -> None:
    if not file.is_file():
        raise FileError(f"{file} is missing: {why}.")
