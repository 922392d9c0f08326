"""Mutations of TOML, XML and CSV: values, lines, nesting, entities and encodings."""

import random
import re
from collections.abc import Callable

from reliability.mutations import blindly

_VALUES = (
    "0", "-1", "1e999", "nan", "inf", "9" * 5000, "0x" + "f" * 2000, "true", '""', "''", "[]", "{}", "[[]]", '"\\u0000"',
    '"\\ud83d"', "1979-05-27T07:32:00Z", '"' + "A" * 100000 + '"', "\u0661", '"../../x"', "#",
)  # fmt: skip
_TOKEN = re.compile(r'"[^"\n]*"|[A-Za-z_][A-Za-z0-9_.-]*|-?[0-9][0-9.]*')
_DEEP = (5, 300, 2000, 100000)


def text(data: bytes, rng: random.Random) -> bytes:
    """Apply one to three mutations to a text."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = rng.choice(_MUTATIONS)(data, rng)
    return data


def _token(data: bytes, rng: random.Random) -> bytes:
    words = data.decode("utf-8", "replace")
    tokens = list(_TOKEN.finditer(words))
    if not tokens:
        return blindly(data, rng)
    at = rng.choice(tokens)
    new = rng.choice((rng.choice(_VALUES), rng.choice(tokens).group(), ""))
    return _encoded(words[: at.start()] + new + words[at.end() :])


def _lines(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    act = rng.randrange(4)
    if act == 0:
        del lines[first]
    elif act == 1:
        lines.insert(second, lines[first])
    elif act == 2:
        lines[first], lines[second] = lines[second], lines[first]
    else:
        lines[first:first] = [lines[second]] * 3000
    return b"\n".join(lines)


def _nesting(data: bytes, rng: random.Random) -> bytes:
    depth = rng.choice(_DEEP)
    deep = rng.choice(
        (
            b"x = " + b"[" * depth + b"]" * depth,
            b"x = " + b"{a=" * depth,
            b".".join([b"a"] * depth) + b" = 1",
            b"[" + b".".join([b"a"] * depth) + b"]",
            b"<a>" * depth + b"</a>" * depth,
            b"<a>" * depth,
            b'"' * depth,
            b";" * depth,
        )
    )
    lines = data.split(b"\n")
    lines.insert(rng.randrange(len(lines) + 1), deep)
    return b"\n".join(lines)


def _entities(data: bytes, rng: random.Random) -> bytes:
    levels = "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(9))
    bomb = f'<!DOCTYPE x [<!ENTITY a0 "lol">{levels}<!ENTITY f SYSTEM "file:///etc/passwd">]>'.encode()
    used = rng.choice((b"&a9;", b"&f;", b"&unknown;", b"&#0;", b"&#xD800;"))
    head, mark, tail = data.partition(b">")
    places = (bomb + data, head + mark + bomb + tail.replace(b"<", used + b"<", 3), data.replace(b'"', used))
    return rng.choice(places)


def _encoding(data: bytes, rng: random.Random) -> bytes:
    words = data.decode("utf-8", "replace")
    kind = rng.choice(("utf-16", "utf-16-be", "utf-32", "utf-8-sig", "cp500", "latin-1", "utf-7"))
    declared = f'<?xml version="1.0" encoding="{rng.choice((kind, "x-none", "utf-8"))}"?>'
    words = declared + words.partition("?>")[2] if "?>" in words else words
    return words.encode(kind, "replace")


def _encoded(words: str) -> bytes:
    return words.encode("utf-8", "surrogatepass")


_MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _token, _token, _token, _token, _lines, _lines, _nesting, _entities, _encoding, blindly,
)  # fmt: skip
