"""The manifest of a snapshot: what it was made from, and the size and digest of every file.

It holds nothing but content, no time and no number: the same graph from the same inputs has the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pkgraph.errors import SnapshotDamaged
from pkgraph.snapshot.format import FORMAT_VERSION, MIN_READER_VERSION, RELATION_TYPES, Intake

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MANIFEST_NAME = "MANIFEST.json"
MAX_JSON_BYTES = 4 << 20
"""A manifest of the demo has 10 kB; whatever is far longer is not one."""


def canonical_json(data: Mapping[str, Any]) -> bytes:
    return json.dumps(
        data, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    ).encode()


def sealed(data: Mapping[str, Any]) -> bytes:
    """The data as JSON with its own digest in it."""
    return canonical_json({**data, "digest": hashlib.sha256(canonical_json(data)).hexdigest()})


def unsealed(path: Path) -> dict[str, Any]:
    """The data of a sealed file.

    Raises:
        SnapshotDamaged: The file is missing, is no JSON, or its digest does not fit.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_JSON_BYTES + 1)
        data = json.loads(text)
        digest = data.pop("digest")
        # Compared as bytes: a flipped bit in white space or in a key's case is a change too.
        is_whole = len(text) <= MAX_JSON_BYTES and sealed(data) == text
    except OSError as error:
        raise SnapshotDamaged(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise SnapshotDamaged(f"{path} is damaged: it is no sealed JSON.") from error
    if not is_whole or not isinstance(digest, str):
        raise SnapshotDamaged(f"{path} is damaged: its digest does not fit.")
    return dict(data)


class FileFact(NamedTuple):
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot says of itself.

    Attributes:
        snapshot_id: First 12 hex characters of the digest over everything below.
        files: File name to its size and digest.
        counts: Dimension ("skus", "edges", ...) to its length.
        inputs: What the graph was made from, as the publisher said: plain JSON values.
        format_version: Of the reader it was written for.
    """

    snapshot_id: str
    files: Mapping[str, FileFact]
    counts: Mapping[str, int]
    intake: Intake
    inputs: Mapping[str, Any]
    format_version: int = FORMAT_VERSION

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """The statistical bound the snapshot carries; None where it carries none."""
        found = self.inputs.get("certificate")
        return found if isinstance(found, dict) else None

    @property
    def override(self) -> str | None:
        """Why it was published without a valid certificate; None where nothing was overridden."""
        found = self.inputs.get("override")
        return str(found) if found else None


def _content(manifest: Manifest) -> dict[str, Any]:
    return {
        "format": "pkgraph-snapshot",
        "format_version": FORMAT_VERSION,
        "min_reader_version": MIN_READER_VERSION,
        "relation_types": list(RELATION_TYPES),
        "files": {name: {"size": f.size, "sha256": f.sha256} for name, f in manifest.files.items()},
        "counts": dict(manifest.counts),
        "intake": {
            "n_accepted": manifest.intake.n_accepted,
            "refused": dict(manifest.intake.refused),
            "kinds_without_relations": manifest.intake.kinds_without_relations,
        },
        "inputs": dict(manifest.inputs),
    }


def manifest_of(
    files: Mapping[str, FileFact], counts: Mapping[str, int], intake: Intake, inputs: Mapping[str, Any]
) -> Manifest:
    """A manifest named by its content."""
    draft = Manifest("", files, counts, intake, inputs)
    digest = hashlib.sha256(canonical_json(_content(draft))).hexdigest()
    return Manifest(digest[:12], files, counts, intake, inputs)


def manifest_bytes(manifest: Manifest) -> bytes:
    return sealed({**_content(manifest), "snapshot_id": manifest.snapshot_id})


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a snapshot's folder.

    Raises:
        SnapshotDamaged: It is missing, damaged or of a later format.
    """
    path = folder / MANIFEST_NAME
    data = unsealed(path)
    try:
        needed = int(data["min_reader_version"])
        if needed > FORMAT_VERSION:
            raise SnapshotDamaged(
                f"{path} needs a reader of format {needed} or later, this one reads up to {FORMAT_VERSION}.",
                remedy="Update pkgraph.",
            )
        files = {name: FileFact(fact["size"], fact["sha256"]) for name, fact in data["files"].items()}
        intake = Intake(**data["intake"])
        version = int(data["format_version"])
        counts = {name: int(count) for name, count in data["counts"].items()}
        inputs = dict(data["inputs"])
        found = Manifest(data["snapshot_id"], files, counts, intake, inputs, version)
        has_our_types = data["relation_types"] == list(RELATION_TYPES)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SnapshotDamaged(f"{path} lacks what a manifest holds: {error}.") from error
    if not has_our_types:
        raise SnapshotDamaged(
            f"{path} counts other relation types than this reader.", remedy="Update pkgraph."
        )
    return found
