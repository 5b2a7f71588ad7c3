"""How a text that others made, a name say, is shown to people: nothing in it acts or hides."""

import re

# What a terminal obeys (C0, C1), what turns the direction of reading (Unicode Bidirectional
# Algorithm), what breaks a line, what nobody sees, and what neither UTF-8 nor XML can hold.
ACTING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\ufffe\uffff]"
)


def shown(text: str, *, lines: bool = False) -> str:
    """Return the text with escapes, as Python writes them, for each character that would act.

    With `lines` its line breaks and tabs are of our own making, and stay.
    """

    def escape(found: re.Match[str]) -> str:
        character = found.group()
        if lines and character in "\n\t":
            return character
        return character.encode("unicode_escape", "surrogatepass").decode("ascii")

    return ACTING.sub(escape, text)
