"""Text from strangers, as people may see it: what does not print is shown as an escape."""


def shown(text: object) -> str:
    r"""Return the text with every character that does not print as its escape: ``\x1b``, ``\n``, ``\u202e``.

    These are control characters, line breaks, bidirectional and other format characters, lone surrogates and
    unassigned ones: nothing that a peer sends can move a cursor, start a line of its own or turn its neighbours round.
    """
    words = str(text)
    if words.isprintable():
        return words
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in words)


def cell(text: object) -> str:
    """Return the text as a cell of a table for spreadsheets, which would compute one that begins like a formula.

    Such a text gets an apostrophe in front, which spreadsheets take as the sign of plain text.
    """
    words = shown(text)
    return f"'{words}" if words.lstrip().startswith(("=", "+", "-", "@")) else words
