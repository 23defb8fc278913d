"""What a payer reads on the statement: the rule that card schemes and banks share, in one place."""

from __future__ import annotations

from typing import Final

LENGTH_LEAST: Final = 5
LENGTH_MOST: Final = 22
FORBIDDEN: Final = frozenset("<>\\'\"*")
"""What statements cannot show, or what schemes use to part a prefix from a suffix."""
PATTERN: Final = r"^[ !#-&(-)+-;=?-\[\]-~]*[A-Za-z][ !#-&(-)+-;=?-\[\]-~]*$"
"""The rule but for the length, as JSON schema says it: printable ASCII without the forbidden, one letter at least."""


def is_statement_descriptor(text: str) -> bool:
    """5 to 22 printable ASCII characters, none of `FORBIDDEN`, at least one letter."""
    return (
        LENGTH_LEAST <= len(text) <= LENGTH_MOST
        and text.isascii()
        and text.isprintable()
        and any(character.isalpha() for character in text)
        and FORBIDDEN.isdisjoint(text)
    )
