"""The door to language models: the ledger of paid answers, the replaying model, and asking for the rest.

No provider stands here (see `resources`), and no answer is read here (see `pkgraph.relations`).
"""

from pkgraph.llm.asking import Progress, ask_all
from pkgraph.llm.ledger import AnswerKey, Ledger, LedgerTotals, StoredAnswer, parameters_json
from pkgraph.llm.replay import BadLine, ReplayLanguageModel

__all__ = [
    "AnswerKey",
    "BadLine",
    "Ledger",
    "LedgerTotals",
    "Progress",
    "ReplayLanguageModel",
    "StoredAnswer",
    "ask_all",
    "parameters_json",
]
