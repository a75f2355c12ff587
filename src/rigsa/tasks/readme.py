"""What the README of a data set makes `datasets` read: files beside it, and no others."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from rigsa.errors import FileError

MARK = "---"


def check_readme(folder: Path) -> None:
    """Raises FileError where README.md names data elsewhere: its front matter may name any file."""
    path = folder / "README.md"
    if not path.is_file():
        return
    try:
        text = f"\n{path.read_text(encoding='utf-8')}"
        content = yaml.safe_load("".join(text.split(f"\n{MARK}", 2)[1:2]))
    except (ValueError, RecursionError, yaml.YAMLError):
        raise FileError(f"{path} has no readable front matter; get the data set anew.") from None
    for name in _texts(content.get("configs") if isinstance(content, dict) else None, set()):
        if name.startswith(("/", "~")) or ".." in Path(name).parts or ":" in name:
            raise FileError(
                f"{path} names data outside of its folder ({name!r}), which is never read; name "
                "another repository or revision."
            )


def _texts(content: Any, seen: set[int]) -> Iterator[str]:
    """Every text in the values, each list or mapping once however often it is repeated."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict | list) and id(content) not in seen:
        seen.add(id(content))
        for part in content.values() if isinstance(content, dict) else content:
            yield from _texts(part, seen)
