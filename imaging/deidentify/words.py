"""Words of any alphabet, so that a name is found however it is written."""

import re
import unicodedata
from functools import lru_cache

SHORTEST_WORD = 4  # shorter ones stand in too many words that mean something else
SHORTEST_UNCASED = 2  # in scripts without capitals (Chinese, Korean, Arabic, ...) two characters are a name
SHORTEST_EMBEDDED = 5  # from here on a word is found inside another
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
    """Return the words of a spelling, in their order."""
    return [word for word in re.split(r"[\W_]+", text) if word]


@lru_cache(maxsize=4096)
def runs(text: str) -> tuple[str, ...]:
    """Return the letters and the digits of a text apart, also where a capital begins a word inside another."""
    apart = _CAMEL.sub(" ", unicodedata.normalize("NFKC", text))
    return tuple(run for spelling in spellings(apart) for run in _RUNS.findall(spelling))


def is_uncased(word: str) -> bool:
    """Tell whether a word is of letters that have no capitals."""
    return word.isalpha() and not any(letter.lower() != letter.upper() for letter in word)


def is_telling(word: str) -> bool:
    """Tell whether a word is long enough to be searched alone."""
    return len(word) >= (SHORTEST_UNCASED if is_uncased(word) else SHORTEST_WORD)


def is_group(words: list[str]) -> bool:
    """Tell whether short words together are long enough to be searched."""
    joined = "".join(words)
    return len(joined) >= (SHORTEST_UNCASED if is_uncased(joined) else _SHORTEST_GROUP)


def uids_in(text: str) -> list[str]:
    """Return what is written like a UID in a text."""
    return _UID.findall(text)


def has_uid(text: str) -> bool:
    """Tell whether a text has a UID: six numbers or more with points between them."""
    return any(uid.count(".") >= _MOST_UID_PARTS for uid in uids_in(text))


def has_date_or_telephone(text: str) -> bool:
    """Tell whether a text has a whole date or a number that can be called."""
    return bool(_DATE.search(text) or _LONG_NUMBER.search(text))


def _bare(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text)
    letters = "".join(letter for letter in apart if not unicodedata.category(letter).startswith("M"))
    return unicodedata.normalize("NFC", letters).casefold()
