"""Changes to a project's YAML files, as a table can hold them."""

from typing import Any

GONE = object()  # as a value: the key is taken out


def edit(content: dict[str, Any], changes: dict[str, Any]) -> None:
    """Sets each key, such as "arms.rigsa.mask.density", to its value."""
    for key, value in changes.items():
        place = content
        *path, last = key.split(".")
        for part in path:
            place = place[part]
        if value is GONE:
            del place[last]
        else:
            place[last] = value
