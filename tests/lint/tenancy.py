"""Lint: no query of the API bypasses `services.api.access`. Run by `python -m tests.lint.tenancy`.

A function that queries a table of an organization's data must have a parameter that proves a check by `access`: a
`Principal`, or a row that `access` has found, which is a `Store`, `Camera`, `Organization` or `EdgeWorker`. The name of
a store proves nothing. Such rows can only come from `access`, since no other code may select them without one.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

API = Path(__file__).parents[2] / "services" / "api"

TABLES = {
    "Organization": "organization",
    "Store": "store",
    "Camera": "camera",
    "Line": "line",
    "ZoneRow": "zone",
    "CameraHealth": "camera_health",
    "Membership": "membership",
    "Invitation": "invitation",
    "ApiKey": "api_key",
    "AuditEntry": "audit_entry",
    "CrossingRow": "crossing",
    "OccupancyCorrection": "occupancy_correction",
    "Promotion": "promotion",
    "CountQuarter": "count_quarter",
    "CountMinute": "count_minute",
    "CountDay": "count_day",
    "StoreVersion": "store_version",
    "SessionCount": "session_count",
    "RunSession": "run_session",
    "CoverageRow": "coverage",
}
"""The tables that hold an organization's data, by their classes."""

GRANTS = {"Principal", "PrincipalDep", "Store", "Camera", "Organization", "EdgeWorker", "WorkerDep", "CountSelection"}
"""Types of parameters that prove a check by `access`."""

EXEMPT = {
    "access/repository.py": "the module that checks",
    "cameras/repository.py": "serves the command line, the projection, and services that have checked access",
    "promotions/repository.py": "writes for the command line, and for services that have checked access",
    "audit_log.py": "records the organization of a change",
    "auth": "finds the principal, before access is checked",
    "invitations/repository.py:find_by_token": "the token identifies the invited person",
    "invitations/repository.py:may_still_invite": "checks the inviter of an invitation, found by its token",
    "invitations/repository.py:_role": "the same",
    "invitations/repository.py:organization_of": "the organization of an invitation, found by its token",
    "invitations/repository.py:forget_old": "deletes expired rows of all organizations",
    "members/repository.py:find_organization": "serves the operator, who has access to the database",
    "members/repository.py:read_organization_ids": "the same",
    "members/repository.py:read_all": "the same",
    "counts": "checks access in its endpoints, and passes the store's id on",
    "stores/repository.py:read_versions": "reads versions for listeners, whose access was checked when they joined",
}
"""Modules, folders and functions that are exempt, and the reason."""

_QUERIES = {"select", "insert", "update", "delete", "exists"}
_SQL = re.compile(rf"\b(?:from|join|into|update)\s+({'|'.join(TABLES.values())})\b", re.IGNORECASE)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Violation:
    """A query without a check."""

    where: str
    line: int
    table: str

    def __str__(self) -> str:
        return (
            f"{self.where}:{self.line}: queries {self.table} without a parameter that proves a check by access: "
            "take a Principal, or the Store, Camera or Organization itself, instead of an id"
        )


def find_violations(folder: Path = API) -> list[Violation]:
    """Find the violations in the API's code."""
    found: list[Violation] = []
    for path in sorted(folder.rglob("*.py")):
        module = path.relative_to(folder).as_posix()
        found += [one for one in check(path.read_text(), module) if not _is_exempt(one.where)]
    return found


def check(source: str, module: str) -> Iterator[Violation]:
    """Find the violations in a module's source. `where` of a violation is `module:function`."""
    tree = ast.parse(source)
    statements = _named_sql(tree)
    for function in ast.walk(tree):
        if not isinstance(function, Function) or _has_grant(function):
            continue
        for node in _own_nodes(function):
            for table in _queried(node, function, statements):
                yield Violation(f"{module}:{function.name}", node.lineno, table)


def _queried(node: ast.expr, function: Function, statements: dict[str, str]) -> Iterator[str]:
    """The tables that an expression queries."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and (named := _SQL.search(node.value)):
        yield named[1].lower()
    if isinstance(node, ast.Name) and node.id in statements:
        yield statements[node.id]
    if not isinstance(node, ast.Call):
        return
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    is_get = isinstance(node.func, ast.Attribute) and name in {"get", "get_one"}
    if name in _QUERIES or is_get:
        known = {**{table: table for table in TABLES}, **_aliases(function)}
        for argument in node.args[:1] if is_get else node.args:
            for part in ast.walk(argument):
                if isinstance(part, ast.Name) and part.id in known:
                    yield known[part.id]


def _own_nodes(function: Function) -> Iterator[ast.expr]:
    """The expressions of a function, less its docstring."""
    docstring = (
        function.body[0].value if ast.get_docstring(function) and isinstance(function.body[0], ast.Expr) else None
    )
    for node in ast.walk(function):
        if isinstance(node, ast.expr) and node is not docstring:
            yield node


def _aliases(function: Function) -> dict[str, str]:
    """Other names that a function gives to tables: `row = CountQuarter`."""
    return {
        target.id: node.value.id
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id in TABLES
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _named_sql(tree: ast.Module) -> dict[str, str]:
    """The module's SQL texts, by their names, with the table that each reads or writes."""
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            text = " ".join(
                part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)
            )
            if named := _SQL.search(text):
                found |= {target.id: named[1].lower() for target in node.targets if isinstance(target, ast.Name)}
    return found


def _has_grant(function: Function) -> bool:
    """Tell whether a parameter proves a check by access, and is used."""
    arguments = function.args
    used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return any(
        argument.annotation is not None
        and GRANTS & {part.id for part in ast.walk(argument.annotation) if isinstance(part, ast.Name)}
        and argument.arg in used
        for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    )


def _is_exempt(where: str) -> bool:
    module = where.partition(":")[0]
    return bool({where, module, module.partition("/")[0]} & EXEMPT.keys())


def main() -> int:
    """Print the violations. Returns the exit status."""
    found = find_violations()
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
