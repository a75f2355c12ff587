"""Errors a user can cause: one sentence that says what is wrong, where, and what would be right."""


class RigsaError(Exception):
    """Shown to the user as one sentence without a traceback; the command exits with code 1."""


class ConfigError(RigsaError):
    """A key of config.yaml, of a study or of the catalogue is wrong."""


class FileError(RigsaError):
    """A file that a step reads is missing, truncated, corrupt or does not fit."""
