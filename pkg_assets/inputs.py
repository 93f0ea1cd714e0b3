"""What a certificate was made from, as short keys: a change of one voids it.

Labels, catalog and statements are not among them. The certificate speaks of a stated frame of answers, each
known by its pairs and their scores; a new category, or a kind more in the catalog, leaves these as they are.
"""

from pathlib import Path

from pkgraph.model import content_key
from pkgraph.settings import Settings


def fingerprints(settings: Settings) -> dict[str, str]:
    """Keys of models, judge, prompt templates, the way phrases are mapped, and what the settings promise."""
    from pkgraph.mapping.calibration import calibration_text
    from pkgraph.mapping.curated import data_lines
    from pkgraph.mapping.index import VERSION
    from pkgraph.prompts import load_template
    from pkgraph.prompts.judging import judge_text

    folder = Path(settings.prompts.folder) if settings.prompts.folder else None
    templates = [
        load_template(name, folder) for name in (settings.prompts.companions, settings.prompts.occasions)
    ]
    models = sorted(model.name for model in settings.models)
    models += [f"judge {settings.judge.name} {judge_text()}"] if settings.judge else []
    words = [line for name in _WORDS for line in data_lines(name)]
    return {
        "mapping": content_key("mapping", VERSION, calibration_text(), *words),
        "models": content_key("models", *models),
        "promise": content_key("promise", settings.gate.model_dump_json(include=_PROMISED)),
        "templates": content_key(
            "templates", *(text for t in templates for text in (t.name, t.system, t.user))
        ),
    }


_PROMISED = {"alpha", "delta", "by_type"}
_WORDS = (
    "abbreviations.tsv",
    "changing_words.txt",
    "compounds.txt",
    "filler_words.txt",
    "rivals.txt",
    "soft_words.txt",
    "synonyms.tsv",
)
