"""The form of an answer as a JSON schema, for providers that hold a model to one."""

from __future__ import annotations

from pkgraph.model import RelationType

# No lengths: llama.cpp's sampling crawls under `maxLength`, and what is too long is refused when it is read.
_STATEMENT: dict[str, object] = {
    "relation": {"type": "string", "enum": [str(kind) for kind in RelationType]},
    "rationale": {"type": "string"},
    "product": {"type": "string"},
    "explanation": {"type": "string"},
    "confidence": {"type": "number"},
}


def _object(properties: dict[str, object]) -> dict[str, object]:
    """All required and nothing else, as strict providers want it."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


ANSWER_SCHEMA = _object({"relations": {"type": "array", "items": _object(_STATEMENT)}})

_ENTRY: dict[str, object] = {
    "id": {"type": "string"},
    "relations": {"type": "array", "items": _object(_STATEMENT)},
}
PACK_SCHEMA = _object({"answers": {"type": "array", "items": _object(_ENTRY)}})
"""The same for a prompt about several kinds."""

_VERDICT: dict[str, object] = {"id": {"type": "string"}, "holds": {"type": "number"}}
VERDICT_SCHEMA = _object({"verdicts": {"type": "array", "items": _object(_VERDICT)}})
"""The same for a judge of statements."""
