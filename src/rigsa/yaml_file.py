"""One YAML mapping from a file, read more strictly than YAML asks.

YAML takes the last of two equal keys, reads the key `on` as true, and lets a few lines of aliases
stand for more values than fit into memory.
"""

from pathlib import Path
from typing import Any

import yaml

from rigsa.errors import ConfigError

MOST_BYTES = 1_000_000
MOST_VALUES = 50_000
TEXT, MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"


def read_yaml(path: Path) -> dict[str, Any]:
    """Raises ConfigError, with the line where there is one, unless it is a mapping of text keys."""
    try:
        loader = yaml.SafeLoader(_text(path))
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{path}: the file must be a mapping of keys to values.")
        _count_values(node, path, {})
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ConfigError(f"{place}: this is not valid YAML: {error.problem}.") from None
    except yaml.reader.ReaderError as error:
        raise ConfigError(
            f"{path}: character {error.position + 1} is U+{error.character:04X}, which YAML does "
            "not allow; take it out."
        ) from None
    except RecursionError:
        raise ConfigError(f"{path}: its values are nested too deeply; flatten them.") from None
    except ValueError as error:  # a date or a number that is none
        raise ConfigError(f"{path}: a value cannot be read ({error}); put it in quotes.") from None


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{path}: the file is larger than a megabyte; no configuration is.")
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: byte {error.start + 1} is no UTF-8 text; save the file as UTF-8."
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: the file cannot be read ({error.strerror}).") from None


def _count_values(node: yaml.Node, path: Path, counts: dict[int, int]) -> int:
    """How many values the node stands for, each alias counted as what it repeats."""
    key = id(node)
    if key not in counts:
        counts[key] = MOST_VALUES  # Met again before it is counted, it holds itself.
        parts: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            _check_keys(node, path)
            parts = [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            parts = node.value
        counts[key] = 1 + sum(_count_values(part, path, counts) for part in parts)
    if counts[key] > MOST_VALUES:
        raise ConfigError(
            f"{path}:{node.start_mark.line + 1}: aliases (*) repeat this into more than "
            f"{MOST_VALUES:,} values; write fewer of them."
        )
    return counts[key]


def _check_keys(node: yaml.MappingNode, path: Path) -> None:
    seen: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if key.tag not in (TEXT, MERGE):
            shown = key.value if isinstance(key, yaml.ScalarNode) else "a list or mapping"
            raise ConfigError(f"{path}:{line}: the key {shown} is no text; put it in quotes.")
        if key.value in seen:
            raise ConfigError(
                f"{path}:{line}: the key {key.value} stands in line {seen[key.value]} already; "
                "keep one of them."
            )
        seen[key.value] = line
