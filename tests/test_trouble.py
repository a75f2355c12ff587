"""What the machine cannot do is one sentence with a way out; what the program cannot is not."""

import errno
import os

import pytest
from safetensors import SafetensorError

from rigsa.trouble import sentence


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "results/a"), "results/a: No space left"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS), "results/a"), "make its file system writ"),
        (OSError(errno.ENOSPC, "Error writing bytes to file"), "free some space there"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), "free some space"),
        (MemoryError(), "lower micro_batch_size"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "--cores"),
    ],
)
def test_a_failure_of_the_machine_is_a_sentence(error: Exception, said: str) -> None:
    text = sentence(error)
    assert said in text
    assert text.endswith(".")
    assert "\n" not in text


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), OSError("odd"), ValueError("x")])
def test_a_failure_of_the_program_is_none(error: Exception) -> None:
    assert sentence(error) is None
