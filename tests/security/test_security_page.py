"""The limits and the kept data of docs/security.md are those of the code."""

from __future__ import annotations

import dataclasses
import importlib
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sqlmodel import SQLModel

from services.kit.database import account_tables, tables

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
LIMIT = re.compile(r"^\| ([^|]+) \| ([\d.]+) ?(\w*) \| `([\w.]+):([\w.]+)` \|$", re.MULTILINE)
SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
BYTES = {"KiB": 1024, "MiB": 1024**2}
MODULES = ("sign_in_tables", "invitation_tables", "mail_tables")
"""That have tables besides, where there are such modules."""


def valued(module: str, name: str) -> float:
    """A constant, the default of a setting or of a dataclass, as a number."""
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        if isinstance(found, type) and issubclass(found, BaseModel):
            found = found.model_fields[part].default
        elif dataclasses.is_dataclass(found):
            found = next(field.default for field in dataclasses.fields(found) if field.name == part)
        else:
            found = getattr(found, part)
    return found.total_seconds() if isinstance(found, timedelta) else float(found)


def test_limits_are_as_the_page_says() -> None:
    rows = LIMIT.findall(PAGE)
    table = PAGE.partition("## Limits")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")][1:]
    said = {what: float(number) * (SECONDS | BYTES | {"": 1})[unit] for what, number, unit, *_ in rows}
    held = {what: valued(module, name) for what, _, _, module, name in rows}

    assert len(rows) == len(lines)
    assert said == held


def test_every_table_is_in_a_class_of_data() -> None:
    assert tables
    assert account_tables
    for name in MODULES:
        if (Path(tables.__file__).parent / f"{name}.py").is_file():
            importlib.import_module(f"services.kit.database.{name}")
    kept = PAGE.partition("## What is kept")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", kept))

    assert {str(table) for table in SQLModel.metadata.tables} - named == set()


def test_every_link_of_the_page_leads_somewhere() -> None:
    folder = Path(__file__).parents[2] / "docs"
    headings = {
        re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        path, _, anchor = target.partition("#")
        if path.startswith("https://"):
            continue
        assert not path or (folder / path).exists(), target
        if not path:
            assert anchor in headings, target
