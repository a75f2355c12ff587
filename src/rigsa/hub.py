"""Snapshots of hub repositories in the hub's own cache, with progress as plain lines."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tqdm.auto import tqdm

from rigsa.errors import FileError

logger = logging.getLogger(__name__)
SECONDS_BETWEEN_LINES = 5


def snapshot(repository: str, revision: str, kind: str, patterns: Sequence[str]) -> Path:
    """The repository's files of these patterns; the folder's name is the commit.

    `kind` is model or dataset. Only what is not in the cache is downloaded. Raises FileError, with
    the way out, where the hub does not have it or cannot be reached.
    """
    what = f"{kind} {repository} at revision {revision!r}"
    try:
        folder = snapshot_download(
            repository,
            repo_type=kind,
            revision=revision,
            allow_patterns=list(patterns),
            # A model's folders below the top hold other exports of it.
            ignore_patterns=["*/*"] if kind == "model" else None,
            tqdm_class=_Lines,
        )
    except GatedRepoError:
        raise FileError(
            f"The {what} is open only to those who accepted its terms; accept them on the hub and "
            "log in with `hf auth login`."
        ) from None
    except (RepositoryNotFoundError, HFValidationError):
        raise FileError(
            f"The hub has no {what} that you may read; check the name in studies/catalog/, or log "
            "in with `hf auth login` if it is private."
        ) from None
    except RevisionNotFoundError:
        raise FileError(
            f"The hub's {kind} {repository} has no revision {revision!r}; name a branch, tag or "
            "commit of it in studies/catalog/."
        ) from None
    # huggingface_hub says ValueError of a file list that would write outside of its cache.
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise FileError(
            f"The {what} is not in the hub's cache and cannot be downloaded ({first}); run "
            "`snakemake fetch` where there is a network, or name a folder in config.yaml "
            "(model_dir, data_dir)."
        ) from None
    return Path(folder)


class _Lines(tqdm):
    """A progress bar as log lines, which read alike in a terminal and in a file."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._bytes = options.get("unit") == "B"
        self._began = self._said = time.monotonic()
        super().__init__(*args, **options)

    def close(self) -> None:
        self.disable = True  # A bar that closes ends its line, and here there is none.
        super().close()

    def display(self, *args: Any, **options: Any) -> None:
        now = time.monotonic()
        # The hub keeps bars of files and of bytes.
        if not (self._bytes and self.total and self.n) or now - self._said < SECONDS_BETWEEN_LINES:
            return
        self._said = now
        rate = self.n / max(now - self._began, 1e-9)
        left = max(self.total - self.n, 0) / max(rate, 1)
        logger.info(
            "%.0f of %.0f MB, %.1f MB/s, %.0f s left",
            self.n / 1e6, self.total / 1e6, rate / 1e6, left,
        )  # fmt: skip
