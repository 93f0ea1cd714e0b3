"""docs/SNAPSHOT.md names every array of a snapshot, and no other."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from pkgraph.snapshot.format import SPECS
from pkgraph.snapshot.layout import Sections

DOCUMENT = Path(__file__).parents[2] / "docs" / "SNAPSHOT.md"


def test_the_description_names_every_array_and_no_other() -> None:
    table = DOCUMENT.read_text(encoding="utf-8").split("| array |")[1].split("\n\n")[0]
    named = {name for line in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert named == {section.name for section in fields(Sections)}


def test_the_page_of_the_kernel_names_every_file_and_no_other() -> None:
    folder = DOCUMENT.parents[1] / "kernel"
    table = (folder / "README.md").read_text(encoding="utf-8").split("| file |")[1]
    assert set(re.findall(r"`(\w+\.c)`", table)) == {path.name for path in folder.glob("*.c")}


def test_sections_and_files_are_the_same_in_the_same_order() -> None:
    files = dict.fromkeys(spec.name.partition(".")[0] for spec in SPECS)
    assert list(files) == [section.name for section in fields(Sections)]
