"""Errors of runs that whoever asked for the run can read."""

from __future__ import annotations


class RunError(Exception):
    """A run cannot be carried out. The text is one line with the problem and its remedy."""


class Superseded(Exception):
    """Another replica feeds this run now: leave it to that one."""
