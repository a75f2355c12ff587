"""What steps are given: the files that they read, and the record of how these were made."""

from dataclasses import dataclass
from pathlib import Path

from rigsa.errors import FileError
from rigsa.paths import CheckpointPaths


@dataclass(frozen=True)
class Input:
    """A result that another is made from; its record is beside `main`."""

    main: Path
    files: tuple[Path, ...]


def model(folder: Path) -> Input:
    """A base model: what a job trained, or what was fetched (gigabytes, known by their source)."""
    source = folder / "source.json"
    if source.is_file():
        return Input(source, (source,))
    return Input(folder / "training.json", (folder / "model.safetensors",))


def data(folder: Path) -> Input:
    rows = (folder / f"{split}.jsonl" for split in ("train", "validation", "test"))
    return Input(folder / "info.json", tuple(rows))


def fetched(folder: Path) -> Input:
    source = folder / "source.json"
    return Input(source, (source,))


def adapter(folder: Path) -> Input:
    checkpoint = CheckpointPaths(folder.parent)
    return Input(checkpoint.training, (folder / "adapter_model.safetensors",))


def rewound(folder: Path) -> Input:
    """What the training of this adapter had learnt by the step to go back to."""
    checkpoint = CheckpointPaths(folder.parent)
    if not checkpoint.rewind.is_file():
        raise FileError(
            f"{checkpoint.rewind} is missing; delete {checkpoint.training}, and the next run makes "
            "both again."
        )
    return Input(checkpoint.training, (checkpoint.rewind,))


def single(file: Path) -> Input:
    return Input(file, (file,))
