"""Product phrases are resolved to kinds of the shop, with a calibrated probability, or refused with a reason.

What a statement is worth does not belong here, only whether the shop sells what it names.
"""

from pkgraph.mapping.index import KindIndex
from pkgraph.mapping.matching import match_phrases
from pkgraph.mapping.relations import Mapping, map_relations

__all__ = ["KindIndex", "Mapping", "map_relations", "match_phrases"]
