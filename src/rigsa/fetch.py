"""Brings a base model or a task's data within reach: from the hub's cache or a folder, as links.

Files are linked, not copied, into the results: a base model has gigabytes. `source.json`, written
last, says what was taken: repository, revision and commit (or the folder), and each file's size.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rigsa.errors import FileError
from rigsa.files import link_file, write_json
from rigsa.hub import snapshot
from rigsa.models.folder import check_model_folder

logger = logging.getLogger(__name__)

# Weights as safetensors and settings as text: nothing that is unpickled or run.
MODEL_FILES = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")
DATA_FILES = ("*.parquet", "*.jsonl", "*.json", "*.csv", "README.md")
FOLDER_DATA = {"images": ("*ubyte", "*ubyte.gz"), "rows": ("*.jsonl",)}


def fetch(spec: Mapping[str, Any], output: Path) -> None:
    """Links the files of `spec` into `output` (a dataset's into its folder `source`).

    `spec` has "kind" ("model" or "dataset") and either "repository" and "revision" or "folder".
    Raises FileError where they are not to be had or are not what they should be.
    """
    model = spec["kind"] == "model"
    origin: dict[str, Any]
    if "folder" in spec:
        folder = Path(spec["folder"])
        origin = {"folder": spec["folder"]}
        patterns = FOLDER_DATA["images" if "images" in spec else "rows"]
        found = _matching(folder, MODEL_FILES if model else patterns, deep=False)
    else:
        patterns = MODEL_FILES if model else DATA_FILES
        folder = snapshot(spec["repository"], spec["revision"], spec["kind"], patterns)
        origin = {key: spec[key] for key in ("repository", "revision")} | {"commit": folder.name}
        found = _matching(folder, patterns, deep=not model)
    where = spec.get("repository", str(folder))
    if model:
        check_model_folder(folder, where, four_bit=spec["four_bit"])
    elif not found:
        raise FileError(f"{where} has no data files ({', '.join(patterns)}).")
    place = output if model else output / "source"
    _link(folder, found, place)
    files = {str(name): (place / name).stat().st_size for name in found}
    write_json(output / "source.json", {"kind": spec["kind"], **origin, "files": files})
    logger.info(
        "%s: %d files, %.1f MB, from %s", output.name, len(files), sum(files.values()) / 1e6,
        origin.get("commit") or folder,
    )  # fmt: skip


def _matching(folder: Path, patterns: tuple[str, ...], *, deep: bool) -> list[Path]:
    """Files of the folder, named within it. A model lies at the top; below it are other exports."""
    places = folder.rglob if deep else folder.glob
    found = {path.relative_to(folder) for p in patterns for path in places(p) if path.is_file()}
    return sorted(name for name in found if name.name != "source.json")


def _link(folder: Path, names: list[Path], place: Path) -> None:
    """Links the files at `place`, and takes away older links that are not among them."""
    wanted = {place / name for name in names}
    for old in place.rglob("*"):
        if old.is_symlink() and old not in wanted:
            old.unlink()
    for name in names:
        link_file(place / name, (folder / name).resolve())
