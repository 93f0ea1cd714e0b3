"""Text of shops and models, made safe to lay out and to store; it is never executed anywhere.

Letters stay what they are: only what no shopper can see is taken out.
"""

from __future__ import annotations

import re
import unicodedata

# Controls and separators become a space; format characters (bidi overrides, zero-width, soft hyphens, tags),
# lone surrogates, private-use and unassigned code points vanish.
_AS_SPACE = {"Cc", "Zl", "Zp", "Zs"}
_VANISHING = {"Cf", "Cs", "Co", "Cn"}


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category in _AS_SPACE:
        return " "
    return "" if category in _VANISHING else character


def plain(text: str, *, limit: int) -> str:
    r"""The text on one line, without invisible characters, stripped, at most `limit` characters long.

    Inner runs of spaces stay: the recorded answers are keyed by labels as the shelf prints them.
    "gift\u202e card\n" -> "gift card"
    """
    # Cut before the loop as well: a title of 10 MB must not cost 10 MB of work.
    head = text[: limit * 4]
    return "".join(map(_visible, head)).strip()[:limit].strip()


def plain_phrase(text: str, *, limit: int) -> str:
    """Like `plain`, in composed Unicode (NFC) and with single spaces: one spelling a phrase."""
    return re.sub(" +", " ", plain(unicodedata.normalize("NFC", text[: limit * 4]), limit=limit))
