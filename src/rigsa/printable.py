"""Text of a model or of a data set as it can be shown: nothing in it that a terminal obeys."""

UNSHOWN = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """Lines stay, other space becomes a space, control and invisible characters become �."""
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character.isprintable() or character == "\n":
        return character
    return " " if character.isspace() else UNSHOWN
