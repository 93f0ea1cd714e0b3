"""A snapshot opened by memory map: structure is checked at once, checksums on request.

NumPy is loaded where its arrays are first asked for: the compiled kernel answers without.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkgraph.errors import InputError, SnapshotDamaged, SnapshotMissing
from pkgraph.snapshot.arrays import map_array, read_in
from pkgraph.snapshot.format import CARDS, FIRST_WITH_CARDS, OFFSETS, SPECS, ArraySpec
from pkgraph.snapshot.manifest import Manifest, read_manifest
from pkgraph.snapshot.texts import Texts
from pkgraph.snapshot.threads import beside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pkgraph.snapshot.commits import Record
    from pkgraph.snapshot.layout import Sections
    from pkgraph.snapshot.texts import Buffer


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a model behind an edge, down to the answer it was read from."""

    relation_id: str
    prompt_id: str
    response_id: str
    model: str
    product: str
    probability: float
    stated_confidence: float
    match_score: float


@dataclass(frozen=True)
class Snapshot:
    """An immutable graph, mapped into memory.

    Attributes:
        path: Its folder.
        buffers: Every array by its name in SPECS.
        record: The commit that names it; None where it was opened by path.
        skipped: Why newer commits could not be read, newest first; empty on a good day.
        is_stopgap: One of those may be readable at another look.
    """

    path: Path
    manifest: Manifest
    buffers: Mapping[str, Buffer] = field(repr=False, compare=False)
    record: Record | None = None
    skipped: tuple[str, ...] = ()
    is_stopgap: bool = False

    @classmethod
    def open(cls, path: Path, *, verify: bool = False) -> Snapshot:
        """Map a snapshot's folder.

        Args:
            path: Folder of the snapshot.
            verify: Read every byte and compare the checksums; otherwise only sizes, headers and offsets.

        Raises:
            SnapshotMissing: There is no such folder.
            SnapshotDamaged: A file is missing, cut or changed; the message names it.
        """
        path = Path(path)
        if not path.is_dir():
            raise SnapshotMissing(
                f"There is no snapshot at {path}.", remedy="Publish one with `pkgraph build`."
            )
        manifest = read_manifest(path)
        specs = specs_of(manifest)
        mapped = {spec.name: map_array(path / spec.file_name, spec) for spec in specs}
        _check_structure(path, manifest, mapped, specs)
        if verify:
            for values in mapped.values():
                read_in(values)
            check_digests(path, manifest)
        return cls(path, manifest, mapped if CARDS[0] in mapped else _with_cards(path, mapped))

    @cached_property
    def sections(self) -> Sections:
        """The arrays as NumPy reads them; made when they are first asked for."""
        from pkgraph.snapshot.layout import sections_over

        return sections_over(self.buffers)

    def __getstate__(self) -> dict[str, Any]:
        """A copy holds the values: the map of a file cannot be sent to another process."""
        from pkgraph.snapshot.layout import to_arrays

        return {**self.__dict__, "buffers": to_arrays(self.sections)}

    @property
    def snapshot_id(self) -> str:
        return self.manifest.snapshot_id

    def texts(self, name: str) -> Texts:
        """One table of texts, read where it is mapped."""
        return Texts(self.buffers[f"{name}.offsets"], self.buffers[f"{name}.bytes"])

    @property
    def n_edges(self) -> int:
        return len(self.buffers["edge_target"])

    @property
    def n_skus(self) -> int:
        return len(self.buffers["sku_kind"])

    def statements(self, edge: int) -> tuple[Statement, ...]:
        """What the models said that became this edge, surest first.

        Raises:
            InputError: There is no such edge.
        """
        if not 0 <= edge < self.n_edges:
            raise InputError(f"There is no edge {edge}; the snapshot has {self.n_edges}.")
        s = self.sections
        start, end = s.edge_statement_offsets[edge : edge + 2].tolist()
        return tuple(
            Statement(
                relation_id=s.relation_id(i),
                prompt_id=s.prompt_ids[int(s.response_prompt[s.statement_response[i]])],
                response_id=s.response_ids[int(s.statement_response[i])],
                model=s.model_names[int(s.response_model[s.statement_response[i]])],
                product=s.phrase_texts[int(s.statement_phrase[i])],
                probability=float(s.statement_probability[i]),
                stated_confidence=round(float(s.statement_stated_confidence[i]), 6),
                match_score=round(float(s.statement_match_score[i]), 6),
            )
            for i in range(start, end)
        )


def _length(counts: Mapping[str, int], dimension: str) -> int:
    if dimension == "nodes+1":
        return counts["kinds"] + counts["rationales"] + 1
    name, _, extra = dimension.partition("+")
    return counts[name] + int(extra or 0)


def specs_of(manifest: Manifest) -> tuple[ArraySpec, ...]:
    """The arrays that a snapshot of its format holds."""
    has_cards = manifest.format_version >= FIRST_WITH_CARDS
    return tuple(spec for spec in SPECS if has_cards or spec.name not in CARDS)


def _with_cards(path: Path, mapped: Mapping[str, memoryview[Any]]) -> Mapping[str, Buffer]:
    """The buffers, and the cards that an older format has not, made in memory.

    Raises:
        SnapshotDamaged: What cards are made from names what is not there.
    """
    from pkgraph.snapshot.cards import with_cards
    from pkgraph.snapshot.layout import sections_over, to_arrays

    missing = dict.fromkeys(CARDS, memoryview(b""))
    try:
        return to_arrays(with_cards(sections_over({**missing, **mapped})))
    except (IndexError, ValueError, InputError) as error:
        raise SnapshotDamaged(f"{path} is damaged: its cards cannot be made, {error}.") from error


def _check_structure(
    path: Path, manifest: Manifest, mapped: Mapping[str, memoryview[Any]], specs: Sequence[ArraySpec]
) -> None:
    counts = manifest.counts
    for spec in specs:
        values, fact = mapped[spec.name], manifest.files.get(spec.file_name)
        if fact is None:
            raise SnapshotDamaged(f"{path}: the manifest does not name {spec.file_name}.")
        try:
            expected = _length(counts, spec.dimension)
        except KeyError as error:
            raise SnapshotDamaged(f"{path}: the manifest does not count {error}.") from error
        n = len(values)
        if n != expected:
            raise SnapshotDamaged(f"{path / spec.file_name} has {n} values where {expected} belong.")
    for name, dimension in OFFSETS.items():
        end = int.from_bytes(mapped[name][-1:].tobytes(), "little", signed=True)
        if end != counts[dimension]:
            raise SnapshotDamaged(f"{path / name}.arr ends at {end} instead of {counts[dimension]}.")


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_digests(path: Path, manifest: Manifest) -> None:
    """Compare every byte of the snapshot with its manifest.

    Raises:
        SnapshotDamaged: A file was changed; the message names it.
    """
    n_kilobytes = sum(fact.size for fact in manifest.files.values()) >> 10
    beside(lambda file: _check_digest(path / file[0], file[1].sha256), manifest.files.items(), n_kilobytes)


def _check_digest(path: Path, expected: str) -> None:
    try:
        digest = file_digest(path)
    except OSError as error:
        raise SnapshotDamaged(f"{path} cannot be read: {error.strerror}.") from error
    if digest != expected:
        raise SnapshotDamaged(f"{path} is damaged: its checksum does not fit.")
