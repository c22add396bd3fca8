"""The committed OpenAPI document is the one that the API serves."""

from __future__ import annotations

from tests.lint.openapi import FILE, encode


def test_the_committed_document_is_the_one_that_is_served() -> None:
    assert encode() == FILE.read_text(), "the routes have changed: `python -m tests.lint.openapi` writes the document"
