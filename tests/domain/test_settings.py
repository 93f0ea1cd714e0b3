"""One settings file a shop; a wrong field is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pkgraph.errors import SettingsError
from pkgraph.settings import read_settings

GOOD = """\
[catalog]
path = "shop.csv"
[labels]
relations = "labels.tsv"
[[models]]
name = "recorded"
answers = "answers.jsonl"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "shop.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_paths_are_relative_to_the_settings_file(tmp_path: Path) -> None:
    settings = read_settings(written(tmp_path, GOOD))

    assert settings.catalog.path == str(tmp_path / "shop.csv")
    assert settings.labels.relations == str(tmp_path / "labels.tsv")
    assert settings.models[0].answers == str(tmp_path / "answers.jsonl")


def test_a_url_stays_a_url(tmp_path: Path) -> None:
    text = GOOD.replace("shop.csv", "s3://bucket/shop.csv")

    assert read_settings(written(tmp_path, text)).catalog.path == "s3://bucket/shop.csv"


def test_what_a_build_keeps_as_json_reads_the_same(tmp_path: Path) -> None:
    settings = read_settings(written(tmp_path, GOOD))
    kept = tmp_path / "settings.json"
    kept.write_text(json.dumps(settings.model_dump(mode="json")), encoding="utf-8")

    assert read_settings(kept) == settings


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        (GOOD.replace("[labels]", "[label]"), "label"),
        (GOOD.replace('path = "shop.csv"', ""), "path"),
        (GOOD.replace("[[models]]", '[[models]]\nname = "recorded"\n[[models]]'), "repeat"),
        (GOOD + "temperature = 9\n", "temperature"),
        ("[catalog]\npath = 'x.csv'\n", "models"),
        ("catalog = [", "cannot be read"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, text: str, culprit: str) -> None:
    with pytest.raises(SettingsError, match=culprit):
        read_settings(written(tmp_path, text))


def test_a_missing_file_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(tmp_path / "none.toml")

    assert "--settings" in caught.value.remedy
