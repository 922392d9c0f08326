"""Text from strangers, as people may see it: characters that do not print are shown as escapes."""


def shown(text: object) -> str:
    r"""Return the text with every character that does not print replaced by an escape: ``\x1b``, ``\n``, ``\u202e``.

    These are control characters, line breaks, bidirectional and other format characters, lone surrogates and
    unassigned ones: nothing that a peer sends can move a cursor, start a new line or reverse the text around it.
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
