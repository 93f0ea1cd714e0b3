"""What a step was last made from and what it made: where both are as they were, it is not made again.

Inputs and outputs are short keys by name. A step is skipped only where every input is the one that was noted
and every output is still what was written then, so neither an edited table nor a lost one is taken for good.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NEVER = "never made"
MISSING = ""
"""Key of an output that is not there; it never equals one that was noted."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One making of a step.

    Attributes:
        inputs: Name of what it depends on to its key.
        outputs: Name of what it wrote to the key of its content.
    """

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]

    def to_json(self) -> str:
        return json.dumps({"format": 1, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Trace | None:
        """The trace; None where the text is none: then the step is made again."""
        try:
            data = json.loads(text)
            inputs, outputs = dict(data["inputs"]), dict(data["outputs"])
        except (ValueError, KeyError, TypeError):
            return None
        return cls(inputs, outputs) if data.get("format") == 1 else None


def why_again(last: Trace | None, inputs: Mapping[str, str], present: Mapping[str, str]) -> tuple[str, ...]:
    """Why a step has to be made; () where it need not be.

    Args:
        last: Its last making; None where there is none.
        inputs: What it would be made from now.
        present: What lies where its outputs belong, MISSING where nothing does.
    """
    if last is None:
        return (NEVER,)
    names = sorted(last.inputs.keys() | inputs.keys())
    changed = tuple(name for name in names if last.inputs.get(name) != inputs.get(name))
    outputs = sorted(last.outputs.keys() | present.keys())
    is_kept = {name: present.get(name, MISSING) not in {MISSING, None} for name in outputs}
    altered = tuple(
        f"{name} is not what it made"
        for name in outputs
        if not is_kept[name] or last.outputs.get(name) != present.get(name)
    )
    return changed + altered


def file_key(path: Path) -> str:
    """Key of a file's content, MISSING where there is none; hashed again only once it was written to."""
    try:
        fact = path.stat()
    except FileNotFoundError:
        return MISSING
    # The change time cannot be set back, as the modification time can be by a copy that keeps times.
    return _hashed(path, fact.st_ino, fact.st_size, fact.st_mtime_ns, fact.st_ctime_ns)


@lru_cache(maxsize=65_536)
def _hashed(path: Path, *state: int) -> str:  # noqa: ARG001 - another state is another key
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def code_key(root: Path, folders: Iterable[str], *, without: Iterable[str] = ()) -> str:
    """Key of all files below these folders of `root` but those below `without`: another code, another key."""
    digest, left_out = hashlib.sha256(), tuple(root / name for name in without)
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            is_left_out = any(path.is_relative_to(one) for one in left_out)
            if path.is_file() and path.suffix not in {".pyc", ".so"} and not is_left_out:
                digest.update(f"{path.relative_to(root).as_posix()}\x1f{file_key(path)}\x1e".encode())
    return digest.hexdigest()[:16]
