"""Words of titles, kinds, rationales and questions in one spelling."""

from __future__ import annotations

import re
import unicodedata

MAX_TEXT = 400
MAX_WORD = 24
_WORD = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """Words in the one spelling that index and query share.

    "Mother’s Day gift, 6 OZ" -> ["mothers", "day", "gift", "6", "oz"]
    """
    plain = unicodedata.normalize("NFKC", text[:MAX_TEXT]).casefold().replace("’", "").replace("'", "")
    return [word[:MAX_WORD] for word in _WORD.findall(plain)]
