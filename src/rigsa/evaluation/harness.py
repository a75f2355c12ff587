"""lm-eval as a step of a pipeline: off the network, quiet, and without needless work."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial

OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
CHATTY = ("lm_eval", "transformers", "datasets")


def go_offline() -> None:
    """Switches the hub off; counts only for libraries that are imported afterwards."""
    for variable in OFFLINE:
        os.environ[variable] = "1"


def progress_shown() -> bool:
    """Bars belong in a terminal, not in a log file."""
    return sys.stderr.isatty()


@contextmanager
def harness() -> Iterator[None]:
    """Within it, lm-eval says errors only and compiles every prompt template once.

    Left to itself it compiles the same few templates anew for every field of every example, which
    takes 3 s for 500 questions with 5 examples each.
    """
    import lm_eval.api.task
    import lm_eval.utils

    loggers = [logging.getLogger(name) for name in CHATTY]
    levels = [logger.level for logger in loggers]
    templates, bar = lm_eval.utils.env, lm_eval.api.task.tqdm
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    templates.from_string = cache(templates.from_string)
    # This bar, over the prompts, has no switch of its own.
    lm_eval.api.task.tqdm = partial(bar, disable=not progress_shown())
    try:
        yield
    finally:
        lm_eval.api.task.tqdm = bar
        del templates.from_string
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
