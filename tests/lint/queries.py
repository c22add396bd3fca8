"""Lint: the API's queries are in modules named `repository.py`, and one module commits: `python -m tests.lint.queries`.

Elsewhere, nothing that builds a statement is imported from SQLAlchemy or SQLModel, and no session or connection is
asked to run one. Adding, deleting and flushing objects is no query: it is what a service decides.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

API = Path(__file__).parents[2] / "services" / "api"

COMMITS = "transaction.py"
"""The module that commits."""
EXEMPT = {
    COMMITS: "makes writers wait for one another, and notifies the other replicas",
    "database.py": "asks whether the database answers",
    "audit_log.py": "looks up the store of a row that is flushed, in the session that flushes it",
}
"""Modules that may query outside a repository, and the reason."""

_LIBRARIES = ("sqlalchemy", "sqlmodel")
_BUILDERS = {"delete", "except_", "exists", "func", "insert", "intersect", "select", "text", "union", "update"}
_RUNS = {
    "copy_from_query", "cursor", "exec", "execute", "executemany", "fetch", "fetchrow", "fetchval", "get_one", "scalar",
    "scalars", "stream_scalars",
}  # fmt: skip
"""Methods of sessions and connections that run a statement."""
_SESSIONS = {"session", "_session", "connection", "_connection"}
"""Names of sessions: dictionaries have a `get`, and clients of HTTP a `stream`, too."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A query or a commit in the wrong place."""

    module: str
    line: int
    problem: str

    def __str__(self) -> str:
        return f"services/api/{self.module}:{self.line}: {self.problem}"


def find_violations(folder: Path = API) -> list[Violation]:
    """Find the violations in the API's code."""
    return [
        violation
        for path in sorted(folder.rglob("*.py"))
        for violation in check(path.read_text(), path.relative_to(folder).as_posix())
    ]


def check(source: str, module: str) -> Iterator[Violation]:
    """Find the violations in a module's source."""
    may_query = module in EXEMPT or module.rpartition("/")[2] == "repository.py"
    for node in ast.walk(ast.parse(source)):
        if not may_query and (query := _query(node)):
            problem = f"{query}: move the query into the `repository.py` of its feature"
            yield Violation(module, getattr(node, "lineno", 0), problem)
        if module != COMMITS and (commit := _commit(node)):
            problem = f"{commit}: use `committing` or `writing` of services.api.transaction"
            yield Violation(module, getattr(node, "lineno", 0), problem)


def _query(node: ast.AST) -> str:
    """The part of a node that builds or runs a statement; empty if nothing does."""
    match node:
        case ast.ImportFrom(module=str(library), names=names) if library.partition(".")[0] in _LIBRARIES:
            built = sorted({name.name for name in names} & _BUILDERS)
            return f"imports {', '.join(built)}" if built else ""
        case ast.Attribute(value=ast.Name(id=library), attr=attr) if library in _LIBRARIES and attr in _BUILDERS:
            return f"uses {library}.{attr}"
        case ast.Call(func=ast.Attribute(value=receiver, attr=attr)):
            if attr in _RUNS or (attr in {"get", "stream"} and _name(receiver) in _SESSIONS):
                return f"calls {_name(receiver)}.{attr}"
    return ""


def _commit(node: ast.AST) -> str:
    """The part of a node that ends a transaction; empty if none does. `begin` with arguments is of something else."""
    match node:
        case ast.Call(func=ast.Attribute(value=receiver, attr="commit" | "begin" | "begin_nested" as attr)):
            return f"calls {_name(receiver)}.{attr}" if not node.args and not node.keywords else ""
    return ""


def _name(node: ast.expr) -> str:
    """The last name of an expression: `session` of `self.session`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return "…"


def main() -> int:
    """Print the violations. Returns the exit status."""
    found = find_violations()
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
