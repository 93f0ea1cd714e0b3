"""Writing a snapshot's folder so that it is on the disk, byte by byte, before anyone hears of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pkgraph.snapshot.arrays import read_only, write_array
from pkgraph.snapshot.cards import lengths_of_cards, makers_of_cards
from pkgraph.snapshot.format import SPECS
from pkgraph.snapshot.layout import Array, CompiledGraph, to_arrays
from pkgraph.snapshot.manifest import MANIFEST_NAME, FileFact, Manifest, manifest_bytes, manifest_of
from pkgraph.snapshot.reader import file_digest
from pkgraph.snapshot.threads import made_ahead, threads

if TYPE_CHECKING:
    from pathlib import Path

Moment = Callable[[str], None]
"""Told the name of each step of publishing as it passes; tests kill the process there."""


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, content: bytes) -> None:
    """Write a new file that no one writes again, and wait until it is on the disk."""
    with open(path, "xb", opener=read_only) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_snapshot(
    folder: Path, compiled: CompiledGraph, inputs: Mapping[str, Any], moment: Moment
) -> Manifest:
    """Make the folder and write every array and the manifest into it.

    Cards that the graph was compiled without are made as they are written. Of one file the digest is made
    while the next one is written.
    """
    folder.mkdir()
    arrays = to_arrays(compiled.sections)
    made = {} if compiled.has_cards else lengths_of_cards(compiled.sections)
    lengths = {name: len(array) for name, array in arrays.items()} | made
    digests = {}
    n_kilobytes = sum(array.nbytes for array in arrays.values()) >> 10
    with threads(n_kilobytes) as pool:
        for spec in SPECS:
            path = folder / spec.file_name
            parts: Iterable[Array] = [arrays[spec.name]]
            if spec.name in made:
                parts = made_ahead(makers_of_cards(compiled.sections, spec.name), pool)
            write_array(path, spec, lengths[spec.name], parts)
            digests[path] = pool.submit(file_digest, path)
            moment("file_written")
    files = {path.name: FileFact(path.stat().st_size, found.result()) for path, found in digests.items()}
    manifest = manifest_of(files, _counts(lengths), compiled.intake, inputs)
    write_file(folder / MANIFEST_NAME, manifest_bytes(manifest))
    moment("manifest_written")
    sync_folder(folder)
    moment("folder_synced")
    return manifest


def _counts(lengths: Mapping[str, int]) -> dict[str, int]:
    """Length of every dimension: of its arrays, or of its table of texts."""
    counts: dict[str, int] = {}
    for spec in SPECS:
        if not spec.dimension.endswith("+1"):
            counts[spec.dimension] = lengths[spec.name]
        elif spec.name.endswith(".offsets"):
            counts[spec.dimension.removesuffix("+1")] = lengths[spec.name] - 1
    return counts
