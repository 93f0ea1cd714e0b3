"""Recorded answers are replayed as they are; a line that cannot be read costs that line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pkgraph.errors import InputError
from pkgraph.llm import BadLine, ReplayLanguageModel
from pkgraph.model import Message, Prompt, Response

DEMO = Path(__file__).parents[2] / "demo"


def asking(prompt_id: str) -> Prompt:
    return Prompt(prompt_id, (Message("user", "?"),))


def recorded(tmp_path: Path, *rows: object) -> Path:
    path = tmp_path / "answers.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_an_answer_comes_back_verbatim_with_what_was_noted(tmp_path: Path) -> None:
    row = {
        "prompt_id": "p",
        "text": " {} \n",
        "finish_reason": "length",
        "usage": {"prompt_tokens": 3, "completion_tokens": 4},
        "latency_s": 2,
    }
    model = ReplayLanguageModel("m", recorded(tmp_path, row))

    assert model.answer(asking("p")) == Response("m", " {} \n", "answered", "length", 3, 4, 0.0, 2.0, None)


def test_a_prompt_without_a_recorded_answer_is_unanswered(tmp_path: Path) -> None:
    model = ReplayLanguageModel("m", recorded(tmp_path))

    assert model.answer(asking("p")) == Response("m", None, "unanswered", detail="no recorded answer")


def test_an_empty_recorded_answer_is_unanswered(tmp_path: Path) -> None:
    model = ReplayLanguageModel("m", recorded(tmp_path, {"prompt_id": "p", "text": ""}))

    assert model.answer(asking("p")).status == "unanswered"


def test_lines_of_other_models_are_passed_over(tmp_path: Path) -> None:
    rows = [{"prompt_id": p, "text": "x", "model": m} for p, m in (("p", "m"), ("q", "n"))]
    model = ReplayLanguageModel("m", recorded(tmp_path, *rows, {"prompt_id": "r", "text": "y"}))

    assert (model.prompt_ids, model.n_other_models) == (("p", "r"), 1)


def test_further_lines_of_a_prompt_are_further_samples(tmp_path: Path) -> None:
    rows = [{"prompt_id": "p", "text": text} for text in ("first", "second")]
    model = ReplayLanguageModel("m", recorded(tmp_path, *rows))

    said = [model.answer(asking("p"), sample=sample).text for sample in range(3)]
    assert said == ["first", "second", None]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"prompt_id": "p", "text"', "not_json"),
        ("[" * 100_000, "not_json"),
        ("[1]", "not_an_object"),
        ('{"text": "x"}', "missing_prompt_id"),
        ('{"prompt_id": 7, "text": "x"}', "missing_prompt_id"),
        ('{"prompt_id": "' + "p" * 65 + '", "text": "x"}', "missing_prompt_id"),
        ('{"prompt_id": "p", "text": ["x"]}', "wrong_text"),
        ('{"prompt_id": "p", "text": "' + "x" * 1_000_000 + '"}', "too_long"),
    ],
)
def test_a_bad_line_costs_that_line_and_is_listed(tmp_path: Path, line: str, reason: str) -> None:
    good = {"prompt_id": "good", "text": "x"}
    model = ReplayLanguageModel("m", recorded(tmp_path, good, "", line, good))

    assert [(bad.line, bad.reason) for bad in model.bad_lines] == [(3, reason)]
    assert model.answer(asking("good"), sample=1).text == "x"


def test_a_bad_byte_costs_its_line(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"prompt_id": "p", "text": "x"}\r\n{"prompt_id": "q", "text": "\xff"}\n')
    model = ReplayLanguageModel("m", path)

    assert model.prompt_ids == ("p",)
    assert model.bad_lines == (BadLine(2, "not_utf8", "bytes that are no UTF-8"),)


def test_numbers_that_are_none_are_unknown(tmp_path: Path) -> None:
    row = {"prompt_id": "p", "text": "x", "usage": {"prompt_tokens": -1, "completion_tokens": True}}
    rows = [{**row, "latency_s": latency} for latency in (float("nan"), 10**400, "2", -1)]
    model = ReplayLanguageModel("m", recorded(tmp_path, *rows))

    for sample in range(4):
        answer = model.answer(asking("p"), sample=sample)
        assert (answer.input_tokens, answer.output_tokens, answer.latency_s) == (None, None, None)


def test_answers_to_unknown_prompts_are_reported(tmp_path: Path) -> None:
    rows = [{"prompt_id": p, "text": "x"} for p in ("b", "a", "c")]

    assert ReplayLanguageModel("m", recorded(tmp_path, *rows)).unused(["b"]) == ("a", "c")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.jsonl cannot be read: No such file"):
        ReplayLanguageModel("m", tmp_path / "nowhere.jsonl")


def test_the_demo_has_348_answers_of_one_model_and_61_of_the_other() -> None:
    large = ReplayLanguageModel("recorded-frontier-2026-11", DEMO / "answers.jsonl")
    small = ReplayLanguageModel("qwen2.5-coder-1.5b-instruct", DEMO / "answers_small.jsonl")

    assert (len(large.prompt_ids), len(small.prompt_ids)) == (348, 61)
    assert large.bad_lines == small.bad_lines == ()
