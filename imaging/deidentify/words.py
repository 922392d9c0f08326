"""Words of any alphabet, prepared so that a name is found however it is written."""

import re
import unicodedata
from functools import lru_cache

SHORTEST_WORD = 4  # shorter ones occur in too many words that mean something else
SHORTEST_UNCASED = 2  # in scripts without capitals (Chinese, Korean, Arabic, ...) two characters are a name
SHORTEST_EMBEDDED = 5  # from this length on, a word is searched inside others
_SHORTEST_GROUP = 3
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "æ": "ae"})
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_RUNS = re.compile(r"\d+|[^\W\d_]+")
_UID = re.compile(r"\d+(?:\.\d+){2,}")
_DATE = re.compile(
    r"(?<!\d)(?:\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d\d|(?:19|20)\d\d[./-]\d{1,2}[./-]\d{1,2}|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))(?!\d)"
)
_LONG_NUMBER = re.compile(r"(?<![\d.])\d{4,5}[ /-]\d{5,}(?![\d.])")
_MOST_UID_PARTS = 5


@lru_cache(maxsize=4096)  # the slices of a series repeat their texts
def spellings(text: str) -> frozenset[str]:
    """Return a text without case, width and diacritics (NFKC, casefold); umlauts also as two letters."""
    if text.isascii():
        return frozenset({text.casefold()})
    plain = unicodedata.normalize("NFKC", text).casefold()
    return frozenset({_bare(plain), _bare(plain.translate(_UMLAUTS))})


def parts(text: str) -> list[str]:
    """Return the words of a spelling, in order."""
    return [word for word in re.split(r"[\W_]+", text) if word]


@lru_cache(maxsize=4096)
def runs(text: str) -> tuple[str, ...]:
    """Return a text's runs of letters and of digits, also split where a capital begins a new word."""
    apart = _CAMEL.sub(" ", unicodedata.normalize("NFKC", text))
    return tuple(run for spelling in spellings(apart) for run in _RUNS.findall(spelling))


def is_uncased(word: str) -> bool:
    """Tell whether a word is in a script without capitals."""
    return word.isalpha() and not any(letter.lower() != letter.upper() for letter in word)


def is_telling(word: str) -> bool:
    """Tell whether a word is long enough to be searched on its own."""
    return len(word) >= (SHORTEST_UNCASED if is_uncased(word) else SHORTEST_WORD)


def is_group(words: list[str]) -> bool:
    """Tell whether short words are, together, long enough to be searched for."""
    joined = "".join(words)
    return len(joined) >= (SHORTEST_UNCASED if is_uncased(joined) else _SHORTEST_GROUP)


def uids_in(text: str) -> list[str]:
    """Return everything in a text that is written like a UID."""
    return _UID.findall(text)


def has_uid(text: str) -> bool:
    """Tell whether a text has a UID: six numbers or more with dots between them."""
    return any(uid.count(".") >= _MOST_UID_PARTS for uid in uids_in(text))


def has_date_or_telephone(text: str) -> bool:
    """Tell whether a text has a complete date or a telephone number."""
    return bool(_DATE.search(text) or _LONG_NUMBER.search(text))


def _bare(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text)
    letters = "".join(letter for letter in apart if not unicodedata.category(letter).startswith("M"))
    return unicodedata.normalize("NFC", letters).casefold()
