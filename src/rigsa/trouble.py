"""Failures of the machine that no program can mend, as sentences: a full disk, a locked folder."""

import errno

WAYS = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some of your quota there",
    errno.EROFS: "make its file system writable",
    errno.EACCES: "change its permissions",
    errno.EPERM: "change its permissions",
    errno.EIO: "check the disk",
    errno.ESTALE: "mount its file system again",
    errno.ENOLCK: "mount the file system of the results with locks",
    errno.ENOSYS: "mount the file system of the results with locks (Lustre: -o flock)",
    errno.ENOENT: "see whether its folder was moved or deleted",
}


def sentence(error: Exception) -> str | None:
    """What is wrong and the way out; None for an error that is the program's own."""
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return (
            "The memory of this machine does not suffice; lower micro_batch_size or "
            "eval_batch_size in config.yaml, or run fewer jobs side by side (--cores)."
        )
    number = getattr(error, "errno", None)
    if number is None and "No space left on device" in str(error):
        number = errno.ENOSPC  # safetensors has errors of its own, with the system's words.
    if number not in WAYS:
        return None
    file = getattr(error, "filename", None)
    words = getattr(error, "strerror", None) or "No space left on device"
    where = f"{file}: {words}" if file else str(words)
    return f"{where}; {WAYS[number]}, and run the same command again: what is finished stays."
