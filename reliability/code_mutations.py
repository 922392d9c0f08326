"""Small changes to Python source, one at a time, each a mistake that somebody could make."""

import ast
import itertools
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_COMPARED: dict[type[ast.cmpop], tuple[str, str, str]] = {
    ast.Lt: ("boundary", "<", "<="),
    ast.LtE: ("boundary", "<=", "<"),
    ast.Gt: ("boundary", ">", ">="),
    ast.GtE: ("boundary", ">=", ">"),
    ast.Eq: ("comparison", "==", "!="),
    ast.NotEq: ("comparison", "!=", "=="),
    ast.Is: ("comparison", "is", "is not"),
    ast.IsNot: ("comparison", r"is\s+not", "is"),
    ast.In: ("comparison", "in", "not in"),
    ast.NotIn: ("comparison", r"not\s+in", "in"),
}
_CALCULATED: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: (r"\+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: (r"\*", "/"),
    ast.FloorDiv: ("//", "*"),
}


@dataclass(frozen=True, kw_only=True)
class CodeMutation:
    """One change: the bytes from `start` to `end` of a file become `after`. Lines count from 1."""

    file: str
    line: int
    start: int
    end: int
    kind: str
    before: str
    after: str

    def applied(self, source: bytes) -> bytes:
        """Return the source with this change."""
        return source[: self.start] + self.after.encode() + source[self.end :]


def draw(root: Path, files: Sequence[str], number: int, seed: int) -> list[CodeMutation]:
    """Return `number` changes to these files (paths below `root`), every kind as often as the others.

    The same seed draws the same changes from the same files.
    """
    by_kind: dict[str, list[CodeMutation]] = defaultdict(list)
    for file in sorted(files):
        for one in mutations(file, (root / file).read_bytes()):
            by_kind[one.kind].append(one)
    chance = random.Random(seed)
    for possible in by_kind.values():
        chance.shuffle(possible)
    in_turn = itertools.chain.from_iterable(itertools.zip_longest(*by_kind.values()))
    return list(itertools.islice((one for one in in_turn if one), number))


def mutations(file: str, source: bytes) -> Iterator[CodeMutation]:
    """Yield every change to one file: comparisons, and/or, not, arithmetic, constants, exceptions, dropped statements.

    Docstrings and other texts, annotations, decorators, and what only type checkers read are not changed.
    """
    lines = _Lines(source)
    for node in _changeable(ast.parse(source)):
        for start, end, kind, after in _changes(node, lines):
            before = source[start:end].decode()
            yield CodeMutation(
                file=file,
                line=lines.number_of(start),
                start=start,
                end=end,
                kind=kind,
                before=before,
                after=after,
            )


class _Lines:
    """Finds nodes in the bytes of a file."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        return self._starts[node.lineno - 1] + node.col_offset, self._starts[end_line - 1] + end_column

    def between(self, left: ast.expr, right: ast.expr, token: str) -> tuple[int, int] | None:
        """Return the position of a token between two expressions."""
        start, end = self.span(left)[1], self.span(right)[0]
        word = rf"\b{token}\b" if token[0].isalpha() else token
        found = re.search(word, self.source[start:end].decode())
        return (start + found.start(), start + found.end()) if found else None

    def number_of(self, offset: int) -> int:
        return self.source.count(b"\n", 0, offset) + 1


def _changeable(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    fields = dict(ast.iter_fields(node))
    skipped = {
        id(one)
        for one in (*fields.get("decorator_list", ()), fields.get("annotation"), fields.get("returns"))
    }
    for child in ast.iter_child_nodes(node):
        only_for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        if id(child) not in skipped and not only_for_types and not isinstance(child, ast.JoinedStr):
            yield from _changeable(child)


def _changes(node: ast.AST, lines: _Lines) -> Iterator[tuple[int, int, str, str]]:
    match node:
        case ast.Compare(ops=[operator]):
            kind, token, after = _COMPARED[type(operator)]
            yield from _replaced(lines.between(node.left, node.comparators[0], token), kind, after)
        case ast.BoolOp(values=[left, right, *_]):
            token, after = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            yield from _replaced(lines.between(left, right, token), "and/or", after)
        case ast.UnaryOp(op=ast.Not()):
            start, _ = lines.span(node)
            yield start, start + len("not"), "not", ""
        case ast.BinOp() if type(node.op) in _CALCULATED:
            token, after = _CALCULATED[type(node.op)]
            yield from _replaced(lines.between(node.left, node.right, token), "arithmetic", after)
        case ast.Constant(value=bool() | int() | float() as value):
            yield (*lines.span(node), "constant", _other(value))
        case ast.ExceptHandler(type=ast.expr() as caught):
            yield (*lines.span(caught), "exception type", "ZeroDivisionError")
        case ast.Raise() | ast.Expr(value=ast.Call()):
            yield (
                *lines.span(node),
                "dropped raise" if isinstance(node, ast.Raise) else "dropped call",
                "pass",
            )


def _replaced(where: tuple[int, int] | None, kind: str, after: str) -> Iterator[tuple[int, int, str, str]]:
    if where:
        yield (*where, kind, after)


def _other(value: float) -> str:
    if isinstance(value, bool):
        return str(not value)
    return str(value + 1) if isinstance(value, int) else str(value * 2 or 0.25)
