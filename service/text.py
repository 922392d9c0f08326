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
