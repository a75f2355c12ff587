"""However many checkpoints a study has, their answers are let go when they have been compared."""

import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest

from rigsa.analysis.comparison import Falls
from rigsa.analysis.figures.forgetting import mean_fall
from tests.analysis.made_up import arm, lora_arm, make_study, write_results

CHECKPOINTS, ITEMS = 25, 3_000
SCORES = 3 * ITEMS * 8  # bytes of one checkpoint's scores on the source tasks


@pytest.mark.parametrize("compare", [Falls.of_sources, mean_fall])
def test_no_checkpoint_is_kept(compare: Callable, tmp_path: Path):
    loras = [lora_arm(f"q{rank}", f"r{rank}", rank, "full") for rank in range(1, CHECKPOINTS + 1)]
    study = make_study([arm("plain", "Base"), *loras])
    falls = Falls(study, write_results(study, tmp_path, items=ITEMS))
    compare(falls, loras[0], 0)  # reads the base, and imports libraries
    tracemalloc.start()
    try:
        before = pyarrow.total_allocated_bytes()
        found = [compare(falls, item, 0) for item in loras]
        gc.collect()
        # Arrow's memory is not Python's: tables may be views of it.
        held = tracemalloc.get_traced_memory()[0] + pyarrow.total_allocated_bytes() - before
    finally:
        tracemalloc.stop()
    assert all(found)
    assert held < 2 * SCORES
