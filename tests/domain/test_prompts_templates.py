"""Templates are files: the package's own, or the user's, and a wrong one says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pkgraph.errors import TemplateError
from pkgraph.prompts import load_purposes, load_template

ANSWERS = Path(__file__).parents[2] / "demo" / "answers.jsonl"


def own(folder: Path, user: str, system: str | None = None) -> Path:
    (folder / "mine.v1.user.txt").write_text(user, encoding="utf-8")
    if system is not None:
        (folder / "mine.v1.system.txt").write_text(system, encoding="utf-8")
    return folder


def test_the_package_brings_two_templates_with_one_system_message() -> None:
    companions, occasions = load_template("companions.v1"), load_template("occasions.v1")

    assert companions.placeholders == ("category", "department", "kind")
    assert occasions.placeholders == ("rationale",)
    assert companions.system == occasions.system
    assert companions.system.startswith("You know how people shop")


def test_the_curated_purposes_are_those_of_the_recorded_answers() -> None:
    rows = map(json.loads, ANSWERS.read_text(encoding="utf-8").splitlines())

    assert load_purposes() == tuple(sorted(row["rationale"] for row in rows if "rationale" in row))


def test_an_own_template_needs_no_code(tmp_path: Path) -> None:
    template = load_template("mine.v1", own(tmp_path, "\ufeffWhat goes with {kind}? {{}}\n", "Be brief.\n"))

    assert (template.system, template.user) == ("Be brief.", "What goes with {kind}? {{}}")
    assert template.placeholders == ("kind",)


def test_an_own_template_without_a_system_message_has_the_package_s(tmp_path: Path) -> None:
    template = load_template("mine.v1", own(tmp_path, "{rationale}"))

    assert template.system == load_template("companions.v1").system


def test_the_package_s_templates_are_there_beside_an_own_folder(tmp_path: Path) -> None:
    assert load_template("companions.v1", tmp_path) == load_template("companions.v1")


@pytest.mark.parametrize(
    ("user", "culprit"),
    [
        ("{kind} {colour}", "{colour}"),
        ("{kind.__class__}", "{kind.__class__}"),
        ("{kind[0]}", "{kind[0]}"),
        ("{kind!r}", "{kind}"),
        ("{kind:>9999}", "{kind}"),
        ("{}", "{}"),
        ("{kind", "stray brace"),
    ],
)
def test_an_unknown_placeholder_is_named_with_those_allowed(tmp_path: Path, user: str, culprit: str) -> None:
    with pytest.raises(TemplateError) as refused:
        load_template("mine.v1", own(tmp_path, user))

    assert culprit in refused.value.what
    assert "mine.v1" in refused.value.what
    assert culprit == "stray brace" or "{department}" in refused.value.remedy


@pytest.mark.parametrize("user", ["no placeholder", "{kind} for {rationale}", "{category}", ""])
def test_a_template_asks_about_a_kind_or_about_a_purpose(tmp_path: Path, user: str) -> None:
    with pytest.raises(TemplateError, match="neither a kind nor a purpose"):
        load_template("mine.v1", own(tmp_path, user))


@pytest.mark.parametrize("name", ["../secrets", "a/b", "", ".hidden", "x" * 200, "a\nb"])
def test_a_name_that_leaves_the_folder_is_no_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(TemplateError, match="no template name"):
        load_template(name, tmp_path)


def test_a_missing_template_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(TemplateError) as refused:
        load_template("companions.v9", tmp_path)

    assert "companions.v9" in refused.value.what
    assert "companions.v1, companions.v2, occasions.v1" in refused.value.remedy


def test_a_template_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "mine.v1.user.txt").write_bytes(b"{kind} \xff")

    with pytest.raises(TemplateError, match=r"mine\.v1\.user\.txt"):
        load_template("mine.v1", tmp_path)
