"""Logs without what libraries say about themselves: only what a user of this program can use."""

import logging
import os
import warnings

LIBRARIES = (
    "accelerate",
    "bitsandbytes",
    "datasets",
    "fontTools",
    "httpx",
    "lm_eval",
    "matplotlib",
    "torch.utils._pytree",
    "torchao",
    "transformers",
)


def quiet() -> None:
    """Errors of the libraries are still shown. Call it before they are imported."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for library in LIBRARIES:
        logging.getLogger(library).setLevel(logging.ERROR)
    for handler in logging.getLogger().handlers:
        # This program's loggers have names; what comes without one is a library's.
        handler.addFilter(lambda record: record.name != "root" or record.levelno >= logging.ERROR)
    for category in (FutureWarning, DeprecationWarning, UserWarning):
        warnings.filterwarnings("ignore", category=category)
