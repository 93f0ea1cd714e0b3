"""A score that is no share of one is caught where it is made, at the gate, and at load: each for itself."""

from __future__ import annotations

import hashlib
import math
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pkgraph.acceptance import Policy, judge_scored, score_relations
from pkgraph.acceptance.classifier import HallucinationClassifier
from pkgraph.acceptance.member import Member, Witness
from pkgraph.errors import GateRefused
from pkgraph.evidence import gather_evidence
from pkgraph.kernel import SWITCH
from pkgraph.model import GateReport
from pkgraph.recommend import Graph
from pkgraph.serving.served import Served
from pkgraph.snapshot.arrays import HEADER_SIZE
from pkgraph.snapshot.commits import Record, commit_path, manifest_digest, to_json
from pkgraph.snapshot.manifest import FileFact, manifest_bytes, manifest_of, read_manifest, sealed
from tests.gate_data import GOOD, mapped, relation
from tests.published import CREATED_AT, graph_of, publish_shop
from tests.shop import STATEMENTS, Told

NO_SHARES = [math.nan, math.inf, -math.inf, -0.1, 1.0000001]
LENIENT = Policy(threshold=0.5)
SURE = HallucinationClassifier((Member(3.0, {}, {}, {GOOD: Witness(0.0, 0.0)}),), seed=0, n_labels=0)


def scored() -> pl.DataFrame:
    frame = mapped(relation())
    return score_relations(frame, gather_evidence(frame, frame), SURE, LENIENT)


def told(score: float) -> list[Told]:
    """The shop's statements, the last of them with this score."""
    return [*STATEMENTS[:-1], (*STATEMENTS[-1][:4], score, "A score.")]


@pytest.mark.parametrize("score", NO_SHARES)
def test_it_is_caught_where_it_is_made(score: float) -> None:
    assert judge_scored(scored(), LENIENT).is_open
    found = judge_scored(scored().with_columns(probability=pl.lit(score)), LENIENT)
    assert "probabilities_are_shares" in found.broken


@pytest.mark.parametrize("score", NO_SHARES)
def test_it_is_caught_at_the_gate(score: float, tmp_path: Path) -> None:
    with pytest.raises(GateRefused, match="every_score_is_finite_and_a_share"):
        publish_shop(tmp_path, graph_of(told(score)))
    assert list((tmp_path / "commits").iterdir()) == []


@pytest.mark.parametrize("score", NO_SHARES)
def test_it_is_caught_at_load(score: float, tmp_path: Path) -> None:
    """Made by hand with right checksums, past the gate: the server still does not take it."""
    folder = publish_shop(tmp_path).path
    served = Served(_forged(folder, score, tmp_path / "forged"))
    served.refresh()
    assert served.current is None
    assert "no shares" in (served.fault or "")


def test_what_is_forged_like_that_and_a_share_is_served(tmp_path: Path) -> None:
    """The control: it is the score that was refused, not the forgery."""
    folder = publish_shop(tmp_path).path
    served = Served(_forged(folder, 0.5, tmp_path / "forged"))
    assert served.refresh()


def _forged(folder: Path, score: float, root: Path) -> Path:
    """A root whose only commit names a copy of the snapshot with another score in it."""
    old, path = read_manifest(folder), folder / "edge_probability.arr"
    values = np.frombuffer(path.read_bytes(), "<f8", offset=HEADER_SIZE).copy()
    values[0] = score
    content = path.read_bytes()[:HEADER_SIZE] + values.tobytes()
    fact = FileFact(len(content), hashlib.sha256(content).hexdigest())
    forged = manifest_of({**old.files, path.name: fact}, old.counts, old.intake, old.inputs)
    copy = root / "snapshots" / f"1-{forged.snapshot_id}"
    shutil.copytree(folder, copy)
    for name, text in ((path.name, content), ("MANIFEST.json", manifest_bytes(forged))):
        (copy / name).unlink()
        (copy / name).write_bytes(text)
    record = Record(
        1, "publish", copy.name[2:], None, CREATED_AT, manifest_digest(copy), GateReport({"forged": 1}), copy
    )
    commit_path(root, 1).parent.mkdir()
    commit_path(root, 1).write_bytes(sealed(to_json(record)))
    return root


@pytest.mark.parametrize("engine", ["kernel", "numpy"])
def test_less_than_nothing_by_its_sign_alone_is_nothing(
    engine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """-0.0 is a share, and no answer shows the sign."""
    monkeypatch.setenv(SWITCH, "" if engine == "kernel" else "1")
    graph = Graph.open(publish_shop(tmp_path, graph_of(told(-0.0))).path)
    answer = graph.recommend_json([], purpose="romantic evening")
    assert b'"probability":0.0,' in answer
    assert b'"probability":-' not in answer
