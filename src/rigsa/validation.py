"""YAML files against JSON schemas, with one sentence for each mistake."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from rigsa.errors import ConfigError


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads one YAML mapping; a missing file or a syntax error is a ConfigError that names it."""
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ConfigError(f"{place}: this is not valid YAML: {error.problem}.") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: the file must be a mapping of keys to values.")
    return content


def check(content: Mapping[str, Any], schema: Path, source: Path | str) -> None:
    """Raises ConfigError, naming `source` and the key, where `content` breaks the schema."""
    validator = Draft202012Validator(read_yaml(schema))
    error = best_match(validator.iter_errors(content))
    if error is not None:
        raise ConfigError(f"{source}: {_sentence(error)}")


def one_of(name: str, known: Iterable[str]) -> str:
    """'; there are a, b and c' with a guess at what was meant, to end a sentence."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    guess = f"did you mean {near[0]!r}? " if near else ""
    return f"{guess}There are: {', '.join(known)}."


def _key(error: ValidationError) -> str:
    return ".".join(str(part) for part in error.absolute_path)


def _sentence(error: ValidationError) -> str:
    key = _key(error) or "the file"
    value, rule = error.instance, error.validator_value
    match error.validator:
        case "additionalProperties":
            known = error.schema.get("properties", {})
            extra = next(name for name in value if name not in known)
            where = f"{_key(error)}." if _key(error) else ""
            return f"unknown key {where}{extra}; {one_of(str(extra), known)}"
        case "required":
            missing = next(name for name in rule if name not in value)
            return f"{key} lacks the key '{missing}'."
        case "type":
            wanted = " or ".join(rule) if isinstance(rule, list) else rule
            hint = ""
            if isinstance(value, str) and _is_number(value) and wanted in ("number", "integer"):
                hint = " (YAML reads 1e-4 as text: write 1.0e-4)"
            return f"{key} must be of type {wanted}, not {value!r}{hint}."
        case "enum":
            return f"{key} is {value!r}; {one_of(str(value), [str(item) for item in rule])}"
        case "minItems" | "minProperties":
            return f"{key} is empty; it needs at least one entry."
        case "uniqueItems":
            return f"{key} names something twice: {value}."
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            return f"{key} is {value}; it must be {_range(error.schema)}."
        case "pattern":
            return f"{key} is {value!r}, which has characters that are not allowed here ({rule})."
    return f"{key}: {error.message}."


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _range(schema: Mapping[str, Any]) -> str:
    words = {
        "minimum": "at least {}",
        "exclusiveMinimum": "greater than {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "less than {}",
    }
    return " and ".join(text.format(schema[key]) for key, text in words.items() if key in schema)
