"""A configuration against its JSON schema, with one sentence for each mistake."""

import difflib
import math
import re
import reprlib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, TypeChecker
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from rigsa.errors import ConfigError
from rigsa.yaml_file import read_yaml


def check(content: Mapping[str, Any], schema: Path, source: Path | str) -> None:
    """Raises ConfigError, naming `source` and the key, where `content` breaks the schema.

    A schema may refer to another file of its folder by that file's name.
    """

    @cache
    def other(name: str) -> Resource:
        return DRAFT202012.create_resource(read_yaml(schema.parent / name))

    validator = _Validator(read_yaml(schema), registry=Registry(retrieve=other))
    error = best_match(validator.iter_errors(content))
    if error is not None:
        raise ConfigError(f"{source}: {_sentence(error)}")


def one_of(name: str, known: Iterable[str]) -> str:
    """'there are: a, b, c.' with a guess at what was meant, to end a sentence."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    begin = f"did you mean {near[0]!r}? There" if near else "there"
    return f"{begin} are: {', '.join(known)}."


def shown(value: Any) -> str:
    """A value as a sentence names it: no longer than that can be read."""
    return _SHORT.repr(value)


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80


def _is_integer(checker: TypeChecker, value: Any) -> bool:
    """JSON Schema takes 16.0 for an integer; range() does not."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(checker: TypeChecker, value: Any) -> bool:
    """YAML has .nan and .inf, which no bound of a schema keeps out."""
    finite = isinstance(value, float) and math.isfinite(value)
    return finite or _is_integer(checker, value)


def _pattern(validator: Any, pattern: str, value: Any, schema: Any) -> Iterable[ValidationError]:
    """JSON Schema searches, and its $ lets a newline follow."""
    if isinstance(value, str) and not re.fullmatch(pattern, value):
        yield ValidationError(pattern)


_Validator = extend(
    Draft202012Validator,
    {"pattern": _pattern},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_integer, "number": _is_number}
    ),
)


def _key(error: ValidationError) -> str:
    return ".".join(map(_name, error.absolute_path))


def _name(part: object) -> str:
    text = str(part)
    return text if text.isprintable() and len(text) <= 80 else shown(text)


def _sentence(error: ValidationError) -> str:
    key = _key(error) or "the file"
    value, rule = error.instance, error.validator_value
    if "propertyNames" in error.relative_schema_path:
        key += " has a key that"
    match error.validator:
        case "additionalProperties":
            known = error.schema.get("properties", {})
            extra = next(name for name in value if name not in known)
            where = f"{_key(error)}." if _key(error) else ""
            return f"unknown key {where}{_name(extra)}; {one_of(str(extra), known)}"
        case "required":
            missing = next(name for name in rule if name not in value)
            return f"{key} lacks the key '{missing}'."
        case "type":
            return f"{key} must be {_wanted(value, rule)}."
        case "enum" | "const":
            known = rule if error.validator == "enum" else [rule]
            return f"{key} is {shown(value)}; {one_of(str(value), [str(item) for item in known])}"
        case "minItems" | "minProperties":
            has = {0: "is empty", 1: "has one entry"}.get(len(value), f"has {len(value)} entries")
            return f"{key} {has}; it needs at least {'one entry' if rule == 1 else rule}."
        case "uniqueItems":
            return f"{key} names something twice: {shown(value)}."
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            return f"{key} is {shown(value)}; it must be {_range(error.schema)}."
        case "pattern":
            return f"{key} is {shown(value)}; it must be {error.schema['description']}."
    return f"{key}: {_SHORT.repr(error.message)}."


def _wanted(value: Any, rule: str | list[str]) -> str:
    """What a value of another type should be, with a guess at why it is not."""
    wanted = " or ".join(rule) if isinstance(rule, list) else rule
    if "number" in wanted and isinstance(value, float):
        return f"a finite number, not {value}"
    hint = ""
    if isinstance(value, str) and wanted in ("number", "integer"):
        if re.fullmatch(r"[-+]?\d+[eE][-+]?\d+", value):
            hint = " (YAML reads 1e-4 as text: write 1.0e-4)"
        elif re.fullmatch(r"[-+]?\d+(\.\d*)?", value):
            hint = " (write it without quotes)"
    return f"of type {wanted}, not {shown(value)}{hint}"


def _range(schema: Mapping[str, Any]) -> str:
    words = {
        "minimum": "at least {}",
        "exclusiveMinimum": "greater than {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "less than {}",
    }
    return " and ".join(text.format(schema[key]) for key, text in words.items() if key in schema)
