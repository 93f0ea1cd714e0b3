"""The judgement, taken only where it is what `hallucination_classifier` wrote.

A file can be written by anyone, and one that contradicts nothing in itself may still be nobody's: a looser
threshold with a certificate to match. What training made stands in the event of its materialization.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import dagster as dg

from pkg_assets.accepted import LOOKS
from pkg_assets.versions import version_of
from pkgraph.errors import GateRefused
from resources.artifacts import JUDGEMENT, Artifacts

if TYPE_CHECKING:
    from pkgraph.acceptance.judgement import Judgement


def judgement_as_made(
    instance: dg.DagsterInstance, artifacts: Artifacts, *, sleep: Callable[[float], None] = time.sleep
) -> Judgement:
    """What relations are judged by.

    Raises:
        GateRefused: The file is not the one that was trained last. Nothing is judged by it.
        InputError: It is no judgement.
    """
    from pkgraph.acceptance.judgement import Judgement, fingerprint_of

    for look in range(LOOKS):
        sleep(look)
        text = artifacts.read(JUDGEMENT)
        if fingerprint_of(text) == version_of(instance, "hallucination_classifier"):
            return Judgement.from_json(text)
    Judgement.from_json(text)  # what is none at all is said so
    raise GateRefused(
        "The judgement is not the one that training made.",
        broken={"the_judgement_is_as_made": 1},
        remedy="Materialize hallucination_classifier again.",
    )
