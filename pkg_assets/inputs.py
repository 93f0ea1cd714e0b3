"""What a graph and its certificate were made from, as short keys: a change of one voids the certificate."""

from pathlib import Path

import polars as pl

from pkg_assets.knowledge import kind_index_of
from pkg_assets.reporting import fingerprint
from pkgraph.model import content_key
from pkgraph.settings import Settings
from resources.artifacts import Artifacts


def fingerprints(
    settings: Settings, artifacts: Artifacts, *, labels: pl.DataFrame, relations: pl.DataFrame
) -> dict[str, str]:
    """Keys of models, prompt templates, mapping, labels and the statements that were judged.

    Args:
        settings: The shop's.
        artifacts: Holds the phrase index.
        labels: Table `labelled_relations`.
        relations: Table `relations` of all categories.
    """
    from pkgraph.prompts import load_template

    folder = Path(settings.prompts.folder) if settings.prompts.folder else None
    templates = [
        load_template(name, folder) for name in (settings.prompts.companions, settings.prompts.occasions)
    ]
    models = sorted(model.name for model in settings.models)
    return {
        "labels": fingerprint(labels),
        "statements": fingerprint(relations.select("relation_id").sort("relation_id")),
        "mapping": kind_index_of(artifacts).fingerprint,
        "models": content_key("models", *models),
        "templates": content_key(
            "templates", *(text for t in templates for text in (t.name, t.system, t.user))
        ),
    }
