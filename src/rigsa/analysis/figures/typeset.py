"""Text set line by line, for the figures that show what a model reads and writes."""

import re
from collections.abc import Iterable
from functools import cache

from matplotlib.font_manager import FontProperties, findfont, get_font

from rigsa.printable import UNSHOWN, printable

SANS = FontProperties(family="DejaVu Sans")
MONO = FontProperties(family="DejaVu Sans Mono")
MONO_ADVANCE = 0.602  # of the font size; DejaVu Sans Mono
LINE = 1.25  # of the font size
# At least four equally long lines of digits are an image.
IMAGE_ROW = re.compile(r"\d{4,}$")


@cache
def _characters(font: str) -> frozenset[str]:
    return frozenset(map(chr, get_font(findfont(font)).get_charmap()))


def drawable(text: str, font: FontProperties = SANS) -> str:
    """What a model or a data set says, in characters that the font has."""
    known = _characters(font.get_name()) | {"\n"}
    return "".join(c if c in known else UNSHOWN for c in printable(text))


@cache
def _advance(character: str, font: str) -> float:
    """In units of the font size; a character that the font lacks is as wide as the one instead."""
    face = get_font(findfont(font))
    if character not in _characters(font):
        character = UNSHOWN
    face.set_size(100, 72)
    return face.load_char(ord(character)).linearHoriAdvance / 65536 / 100


def width(text: str, size: float, font: FontProperties = SANS) -> float:
    """In points; a sum over characters, so that long texts take no longer than they are."""
    return size * sum(_advance(character, font.get_name()) for character in text)


def wrapped(text: str, size: float, most: float) -> list[str]:
    """Lines of at most `most` points; a word longer than that is broken."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if width(longer, size) <= most:
                line = longer
                continue
            if line:
                lines.append(line)
            *full, line = _broken(word, size, most)
            lines += full
        lines.append(line)
    return lines


def _broken(word: str, size: float, most: float) -> list[str]:
    """The word in parts of at most `most` points, of one character at least."""
    parts, part, taken = [], "", 0.0
    for character in word:
        wide = width(character, size)
        if part and taken + wide > most:
            parts.append(part)
            part, taken = "", 0.0
        part, taken = part + character, taken + wide
    return [*parts, part]


def blocks(text: str) -> Iterable[tuple[bool, list[str]]]:
    """Runs of lines, each with whether it is an image of digits."""
    lines = text.split("\n")
    place = 0
    while place < len(lines):
        end = place
        while end < len(lines) and _same_image(lines[place], lines[end]):
            end += 1
        if end - place >= 4:
            yield True, lines[place:end]
            place = end
            continue
        start = place
        place = max(end, place + 1)
        while place < len(lines) and not IMAGE_ROW.match(lines[place]):
            place += 1
        yield False, lines[start:place]


def _same_image(first: str, line: str) -> bool:
    return bool(IMAGE_ROW.match(first) and IMAGE_ROW.match(line)) and len(first) == len(line)
