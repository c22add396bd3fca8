"""Findings on a video file itself."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

from services.cli.diagnosis.findings import Code, Finding, Severity
from services.ingest.decoding.facts import Facts
from services.ingest.decoding.fields import Fields

_FILTERS: Final = {
    Fields.PROGRESSIVE: "setfield=prog",
    Fields.TOP_FIRST: "setfield=tff,bwdif=send_frame",
    Fields.BOTTOM_FIRST: "setfield=bff,bwdif=send_frame",
}


def about_video(facts: Facts, name: str) -> Iterator[Finding]:
    """Yield the findings on a video file; `name` is its path."""
    fields = facts.fields
    if fields is None or fields.shown is None or not fields.is_wrong:
        return
    if fields.shown is Fields.PROGRESSIVE:
        harm = "it is deinterlaced for nothing, and loses detail"
    elif fields.marked is Fields.PROGRESSIVE:
        harm = "whoever moves is torn into lines"
    else:
        harm = "whoever moves goes back and forth"
    yield Finding(
        Code.FIELDS,
        Severity.WARNING,
        f"the file says that its pictures are {fields.marked}, and they are {fields.shown}: {harm}",
        f"write it anew: ffmpeg -i {shlex.quote(name)} -vf {_FILTERS[fields.shown]} -c:v libx264 out.mp4",
        figures={"frames": fields.decided},
    )
