"""Why a relation is in the graph, or is not: everything that is known of it, down to the model's own words.

Nothing is judged here and nothing is changed; what is not there any more is left out, not made up.
"""

from pkgraph.dossier.gathering import dossier_of

__all__ = ["dossier_of"]
