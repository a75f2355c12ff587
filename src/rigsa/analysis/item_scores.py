"""The score of every item in a file of samples, without its texts where that is safe."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rigsa.errors import FileError
from rigsa.evaluation.samples_file import read_samples
from rigsa.hashing import file_hash
from rigsa.paths import scores_of
from rigsa.records import read_record

if TYPE_CHECKING:
    import pandas

COLUMNS = ["doc_id", "score"]


@dataclass(frozen=True)
class ItemScores:
    """`scores` of the items with the doc_ids `items`, which ascend; both of shape (items,)."""

    items: np.ndarray
    scores: np.ndarray


def read_scores(path: Path) -> ItemScores:
    """Raises FileError where the file does not hold one score for each doc_id."""
    frame = _columns(path) if _as_recorded(path) else read_samples(path)
    if not set(COLUMNS) <= set(frame.columns):
        raise FileError(
            f"{path} has no columns doc_id and score; delete it, and the next run makes it again."
        )
    scores = frame.set_index("doc_id")["score"].astype(float).sort_index()
    if scores.empty or scores.isna().any() or not scores.index.is_unique:
        raise FileError(
            f"{path} must hold one score for each doc_id; delete it, and the next run makes it "
            "again."
        )
    return ItemScores(scores.index.to_numpy(), scores.to_numpy())


def _as_recorded(path: Path) -> bool:
    """Whether the evaluation's record knows these bytes.

    Then nothing has to be decoded to tell that they are what was written. The file's own hash is
    over all its texts, which takes ten times as long.
    """
    with suppress(FileError):
        files = read_record(scores_of(path)).get("files")
        return isinstance(files, Mapping) and file_hash(path) in files.values()
    return False


def _columns(path: Path) -> "pandas.DataFrame":
    import pyarrow.parquet

    schema = pyarrow.parquet.read_schema(path)
    wanted = [name for name in COLUMNS if name in schema.names]
    return pyarrow.parquet.read_table(path, columns=wanted, use_threads=False).to_pandas()
