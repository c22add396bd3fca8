"""Workflows that run for a pull request may do nothing, and are those that were looked at (Holds: "CI")."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

WORKFLOWS = sorted((Path(__file__).parents[2] / ".github" / "workflows").glob("*.y*ml"))
OUTSIDERS = re.compile(r"\${{[^}]*(github\.(event|head_ref|actor)|inputs\.|steps\.[^}]*outputs)")
"""What somebody else has written; in a script it would be run."""


def read(workflow: Path) -> dict[str | bool, Any]:
    found: dict[str | bool, Any] = yaml.safe_load(workflow.read_text())
    return found


def steps(workflow: Path) -> Iterator[dict[str, Any]]:
    for job in read(workflow)["jobs"].values():
        yield from job.get("steps", [])


def test_there_is_one() -> None:
    assert WORKFLOWS


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
class TestEveryWorkflow:
    def test_actions_are_named_by_commit(self, workflow: Path) -> None:
        named = [step["uses"] for step in steps(workflow) if "uses" in step]
        named += [job["uses"] for job in read(workflow)["jobs"].values() if "uses" in job]
        assert named
        assert all(re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}|\./[\w./-]+", name) for name in named), named

    def test_nothing_is_allowed_but_what_a_job_names(self, workflow: Path) -> None:
        assert read(workflow)["permissions"] == {}
        for job in read(workflow)["jobs"].values():
            assert set(job.get("permissions", {}).items()) <= {("contents", "read")}

    def test_no_credentials_are_left_in_the_checkout(self, workflow: Path) -> None:
        checkouts = [step for step in steps(workflow) if "actions/checkout@" in step.get("uses", "")]
        assert checkouts
        assert all(step["with"]["persist-credentials"] is False for step in checkouts)

    def test_a_pull_request_runs_with_no_rights_of_ours(self, workflow: Path) -> None:
        events = read(workflow)[True]  # YAML takes `on` for a yes
        assert not {"pull_request_target", "workflow_run", "issue_comment", "repository_dispatch"} & set(events)
        assert "secrets." not in workflow.read_text()
        assert "self-hosted" not in workflow.read_text()

    def test_no_script_holds_what_somebody_else_has_written(self, workflow: Path) -> None:
        assert not [step["run"] for step in steps(workflow) if OUTSIDERS.search(step.get("run", ""))]

    def test_it_ends(self, workflow: Path) -> None:
        assert all(job.get("timeout-minutes", 360) <= 60 for job in read(workflow)["jobs"].values())
