"""What a reader sees of a page."""

import re
from collections.abc import Iterator
from html import unescape

UNSEEN = {"script", "style", "template", "noscript"}
# In these nothing is markup but their own end.
RAW = ("script", "style")
TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)")
# A > within a quoted value does not end the tag.
IN_TAG = re.compile(r"""=\s*(["'])|>""")
RAW_END = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in RAW}
# No character has such a number, and Python does not read one of 4,300 digits.
NO_CHARACTER = re.compile(r"&#(?:[0-9]{9,}|[xX][0-9a-fA-F]{8,});?")


def visible_text(page: str) -> str:
    """Return the words of an HTML page on one line, without markup, scripts and styles.

    Nothing of the page is looked at more than a few times, whatever it holds: html.parser looks for
    the end of every comment that has none.
    """
    text = " ".join(_seen(page))
    return " ".join(unescape(NO_CHARACTER.sub("\ufffd", text)).split())


def _seen(page: str) -> Iterator[str]:
    """Yield what stands between the markup; all is over where some has no end."""
    at, unseen = 0, 0
    while at < len(page):
        begin = page.find("<", at)
        if begin < 0:
            begin = len(page)
        if not unseen:
            yield page[at:begin]
        if begin == len(page):
            return
        tag = TAG.match(page, begin)
        if tag is None:
            end = _end_of_other(page, begin)
            if end == begin + 1 and not unseen:
                yield "<"
            at = end
            continue
        closes, name = bool(tag[1]), tag[2].lower()
        at = _end_of_tag(page, tag.end())
        if name in RAW and not closes:
            found = RAW_END[name].search(page, at)
            at = found.start() if found else len(page)
        if name in UNSEEN:
            unseen = max(0, unseen - 1) if closes else unseen + 1


def _end_of_tag(page: str, at: int) -> int:
    while found := IN_TAG.search(page, at):
        if found[1] is None:
            return found.end()
        closing = page.find(found[1], found.end())
        if closing < 0:
            break
        at = closing + 1
    return len(page)


def _end_of_other(page: str, begin: int) -> int:
    """Return where a comment or a declaration ends, or what is neither, and only a <."""
    if page.startswith(("<!--", "<!", "<?", "</"), begin):
        ending = "-->" if page.startswith("<!--", begin) else ">"
        # <!--> is a comment too (HTML Standard, 13.2.5.43).
        found = page.find(ending, begin + 2)
        return found + len(ending) if found >= 0 else len(page)
    return begin + 1
