"""What a request may say, field by field; one description checks the request and documents it.

The schema of a field is JSON Schema as OpenAPI 3.1 has it, of the few words that `checked` knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from pkgraph.serving.problems import Problem

Schema = Mapping[str, Any]

_WHOLE = re.compile(r"-?[0-9]{1,9}")
_NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,2})?")
MAX_FIELDS = 1_000


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter of a query, or one field of a body.

    Attributes:
        says: One sentence for the documentation.
        schema: Its type and bounds; `default` where it may be left out.
    """

    name: str
    says: str
    schema: Schema


def bad(detail: str) -> Problem:
    return Problem(400, "bad-request", detail)


def _is_text(value: object, schema: Schema) -> bool:
    """Whether it is a text that can be sent back: JSON may carry half a character."""
    if not isinstance(value, str):
        return False
    fits = schema.get("minLength", 0) <= len(value) <= schema["maxLength"]
    return fits and (value.isascii() or not any("\ud800" <= one <= "\udfff" for one in value))


def _text(value: object, name: str, schema: Schema) -> str:
    if "enum" in schema and value not in schema["enum"]:
        raise bad(f"{name} must be one of {', '.join(schema['enum'])}.")
    if "enum" not in schema and not _is_text(value, schema):
        raise bad(
            f"{name} must be a text of {schema.get('minLength', 0)} to {schema['maxLength']} characters."
        )
    return str(value)


def _number(value: object, name: str, schema: Schema) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise bad(f"{name} must be a number.")
    low, high = schema["minimum"], schema["maximum"]
    if not low <= value <= high or value == schema.get("exclusiveMinimum"):  # NaN is refused here too
        raise bad(f"{name} must lie between {low} and {high}.")
    return value


def _whole(value: object, name: str, schema: Schema) -> int:
    found = _number(value, name, schema)
    if found != int(found):
        raise bad(f"{name} must be a whole number.")
    return int(found)


def _list(value: object, name: str, schema: Schema) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise bad(f"{name} must be a list.")
    if len(value) > schema["maxItems"]:
        raise bad(f"{name} has {len(value)} entries, {schema['maxItems']} are allowed.")
    return tuple(checked(one, f"an entry of {name}", schema["items"]) for one in value)


def _flag(value: object, name: str, _: Schema) -> bool:
    if not isinstance(value, bool):
        raise bad(f"{name} must be true or false.")
    return value


_CHECKS: Mapping[str, Callable[[object, str, Schema], Any]] = {
    "string": _text,
    "number": _number,
    "integer": _whole,
    "boolean": _flag,
    "array": _list,
}


def checked(value: object, name: str, schema: Schema) -> Any:
    """The value as the library takes it.

    Raises:
        Problem: 400, it does not fit the schema; the detail names the field.
    """
    return _CHECKS[schema["type"]](value, name, schema)


def _from_text(text: str, name: str, schema: Schema) -> object:
    """What a query's text stands for; strict: Python's own int() takes "1_0" and Arabic digits."""
    if schema["type"] == "integer":
        if not _WHOLE.fullmatch(text):
            raise bad(f"{name} must be a whole number.")
        return int(text)
    if schema["type"] == "number":
        if not _NUMBER.fullmatch(text):
            raise bad(f"{name} must be a number.")
        return float(text)
    if schema["type"] == "boolean":
        return {"true": True, "false": False}.get(text, text)
    return text


def _known(name: str, fields: Mapping[str, Field]) -> Field:
    field = fields.get(name)
    if field is None:
        raise bad(f"There is no parameter {name[:60]!r}; there are {', '.join(fields) or 'none'}.")
    return field


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        text = query.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:  # not ASCII, not UTF-8 behind the percent signs, or too many
        raise bad(f"The query must be percent-encoded UTF-8 of at most {MAX_FIELDS} fields.") from None


def read_query(query: bytes, fields: Mapping[str, Field]) -> dict[str, Any]:
    """The values of a query string; what it leaves out has its default.

    A list is given by repeating its name.

    Raises:
        Problem: 400, a name is unknown or given twice, or a value is wrong.
    """
    given: dict[str, list[object]] = {}
    for name, text in _pairs(query):
        schema = _known(name, fields).schema
        if schema["type"] == "array":
            given.setdefault(name, []).append(text)
        elif name in given:
            raise bad(f"{name} is given twice.")
        else:
            given[name] = [_from_text(text, name, schema)]
    return _with_defaults(
        {n: v if fields[n].schema["type"] == "array" else v[0] for n, v in given.items()}, fields
    )


def _with_defaults(given: Mapping[str, object], fields: Mapping[str, Field]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, field in fields.items():
        if name in given:
            found[name] = checked(given[name], name, field.schema)
        elif "default" in field.schema:
            found[name] = field.schema["default"]
    return found


def read_object(data: object, fields: Mapping[str, Field]) -> dict[str, Any]:
    """The values of a JSON object; what it leaves out has its default.

    Raises:
        Problem: 400, it is no object, a name is unknown, or a value is wrong.
    """
    if not isinstance(data, dict):
        raise bad("The body must be a JSON object.")
    for name in data:
        _known(name, fields)
    return _with_defaults(data, fields)
