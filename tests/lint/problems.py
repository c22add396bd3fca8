"""The list of problems' codes, docs/problems.md, from the code of the API: `python -m tests.lint.problems` writes it.

A code names one kind of problem: with the same code, the sentence is the same. Clients and translations rely on it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from services.api.app import create_app
from services.api.http.problems import Problem

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "problems.md"
_HEAD = """\
# Problems

Every error of the API is problem+json (RFC 9457). `code` says which one it is, and does not change; `type` is the same
as a URN, `urn:metrica:problem:no-such-store`. `detail` is a sentence for people, whose words may change; `params` has
its values, so that a client can say it in another language. `invalid` names each invalid field with a code and params
of its own: one of this list, or the rule of
[pydantic](https://docs.pydantic.dev/latest/errors/validation_errors/) with hyphens, such as `string-too-short`.

Errors of HTTP itself have their status as a code: `method-not-allowed`, `bad-request`, `request-timeout`. The two codes
with underscores are older than the rule for the others.

This list is made by `python -m tests.lint.problems`. "…" is a sentence that depends on the case.

| code | status | sentence |
|---|---|---|
"""
REST = "…"
OTHERS = [
    ("database-away", 503, "The database is away. Counting goes on and nothing is lost; try again in a moment."),
    ("internal-error", 500, "An error of the API's own; its log has the details."),
    ("no-such-path", 404, "No such path."),
    (
        "quota-of-organization-used-up",
        429,
        "{organization} has {held} {kind} open, the most at a time. End one, or try again in {seconds} seconds.",
    ),
    (
        "quota-of-principal-used-up",
        429,
        "You have {held} {kind} open, the most at a time. End one, or try again in {seconds} seconds.",
    ),
]


class Site(NamedTuple):
    """A problem that the API raises.

    Attributes:
        place: file and line.
        kind: its class.
        code: None where it has that of its class.
        sentence: with the names of its values in braces.
    """

    place: str
    kind: type[Problem]
    code: str | None
    sentence: str


def kinds() -> dict[str, type[Problem]]:
    """All classes of problems, by name."""
    create_app  # noqa: B018  # its import has imported all of them
    left, known = [Problem], dict[str, type[Problem]]()
    while left:
        kind = left.pop()
        known[kind.__name__] = kind
        left += kind.__subclasses__()
    return known


def sites(folder: Path = ROOT / "services" / "api") -> Iterator[Site]:
    """The problems that the modules of a folder make."""
    known = kinds()
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in known:
                names = vars(import_module(".".join(path.relative_to(ROOT).with_suffix("").parts)))
                code = next((_text(each.value, names) for each in node.keywords if each.arg == "code"), None)
                sentence = _text(node.args[0], names) if node.args else REST
                yield Site(f"{path.relative_to(folder)}:{node.lineno}", known[node.func.id], code, sentence)


def _text(node: ast.expr, names: Mapping[str, object]) -> str:
    """The text of an expression; REST stands for what is known only when it runs."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name) if isinstance(known := names.get(name), str):
            return known
        case ast.BinOp(left=left, right=right):
            return _text(left, names) + _text(right, names)
        case ast.JoinedStr(values=parts):
            return "".join(_text(part, names) for part in parts)
        case ast.FormattedValue(value=value):
            return _text(value, names)
        case _:
            return REST


def rows(found_sites: Sequence[Site]) -> list[tuple[str, int, str]]:
    """Code, status and sentence of each kind, in order."""
    raised = {(site.code or site.kind.code, int(site.kind.status), site.sentence) for site in found_sites}
    of_classes = {(kind.code, int(kind.status), REST) for kind in kinds().values()}
    known = {code for code, _, _ in (*raised, *OTHERS)}
    return sorted({*raised, *OTHERS, *(row for row in of_classes if row[0] not in known)})


def encode() -> str:
    """The page as it is generated."""
    lines = (
        f"| `{code}` | {status} {HTTPStatus(status).phrase} | {sentence.replace('|', '/')} |\n"
        for code, status, sentence in rows(list(sites()))
        if REST not in code
    )
    return _HEAD + "".join(lines)


if __name__ == "__main__":
    FILE.write_text(encode())
