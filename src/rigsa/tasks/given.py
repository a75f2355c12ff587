"""Tasks whose items come from outside: rows of the hub's or of a folder's files, and subsets."""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rigsa.errors import ConfigError, FileError
from rigsa.files import read_json, read_jsonl
from rigsa.tasks.mnist import from_hub_rows, mnist_items, read_idx_folder
from rigsa.tasks.readme import check_readme
from rigsa.tasks.stock import SPLITS, asked_split

Items = dict[str, list[dict[str, Any]]]


def splits(spec: Mapping[str, Any], given: Path) -> Items:
    """Items by split. `given` is the folder that `rigsa fetch` filled, or a subset's whole task.

    Raises FileError where files do not hold what the task needs.
    """
    if "subset_of" in spec:
        whole = {split: read_jsonl(given / f"{split}.jsonl") for split in spec["counts"]}
        return subset(whole, spec["counts"], spec["seed"], spec["task"])
    from_folder = "folder" in read_json(given / "source.json")
    folder = given / "source"
    if "stock" in spec:
        found = _json_lines(folder) if from_folder else _hub_rows(folder, spec["config"])
        _check_stock(spec["stock"], found, folder)
        return found
    if from_folder:
        return mnist_items(*read_idx_folder(folder), spec["seed"])
    with tempfile.TemporaryDirectory() as scratch:
        rows = _load(folder, spec["config"], scratch)
        train, test = (from_hub_rows(rows[split]) for split in ("train", "test"))
    return mnist_items(train, test, spec["seed"])


def subset(whole: Items, counts: Mapping[str, int], seed: int, task: str) -> Items:
    """So many items of each split, chosen and ordered by hashes: the same on any machine."""
    chosen = {}
    for split, count in counts.items():
        items = whole[split]
        if count > len(items):
            raise ConfigError(
                f"studies/catalog/tasks.yaml: {task}.counts.{split} is {count}, but there are only "
                f"{len(items)} items; ask for fewer."
            )
        order = sorted(
            range(len(items)), key=lambda i: hashlib.sha256(f"{seed}:{split}:{i}".encode()).digest()
        )
        chosen[split] = [items[i] for i in order[:count]]
    return chosen


def _json_lines(folder: Path) -> Items:
    found = {split: folder / f"{split}.jsonl" for split in SPLITS}
    try:
        return {split: read_jsonl(path) for split, path in found.items() if path.is_file()}
    except FileError as error:
        # The file is the user's own, and no run makes it again.
        raise FileError(f"{str(error).split('; ')[0]}; mend it in your own folder.") from None


def _hub_rows(folder: Path, config: str | None) -> Items:
    with tempfile.TemporaryDirectory() as scratch:
        rows = _load(folder, config, scratch)
        return {split: rows[split].to_list() for split in SPLITS if split in rows}


def _load(folder: Path, config: str | None, scratch: str) -> Any:
    """A snapshot's splits, as its own README groups its files. Its cache lives in `scratch`."""
    from datasets import load_dataset

    check_readme(folder)
    try:
        return load_dataset(str(folder), name=config, cache_dir=scratch)
    except (OSError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0]
        raise FileError(
            f"{folder} cannot be read as a data set ({first}); delete {folder.parent}, and "
            "`snakemake fetch` gets it anew."
        ) from None


def _check_stock(task: str, found: Items, folder: Path) -> None:
    asked = asked_split(task)
    if not found.get(asked):
        raise FileError(
            f"{folder} has no items of the split {asked!r}, which lm-eval's task {task} asks; "
            f"put them there as {asked}.jsonl, or use the hub."
        )
