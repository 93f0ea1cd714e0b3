"""The classifier for shops without labels: trained on the demo's, without telling models apart.

What it says elsewhere is a guess: nothing is certified with it.
"""

from __future__ import annotations

from importlib import resources

from pkgraph.acceptance.classifier import HallucinationClassifier


def load_pretrained() -> HallucinationClassifier:
    """The classifier that ships with the library."""
    text = (resources.files("pkgraph.acceptance") / "pretrained.json").read_text(encoding="utf-8")
    return HallucinationClassifier.from_json(text)
