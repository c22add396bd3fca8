"""The beginning of a file: it names the session, and so decides what is counted once and what anew."""

from __future__ import annotations

import pytest

from contracts.spec import Source
from services.ingest.progress import FileProgress, choose_start

ASKED, OTHER, NOW = 1_000, 2_000, 9_000


def source(start: int | None = None, again: int = 0) -> Source:
    return Source(camera="door", address="clip.mp4", start=start, again=again)


def known(start: int, asked: int | None = None, again: int = 0) -> FileProgress:
    return FileProgress(session="s", start=start, asked=asked, again=again)


@pytest.mark.parametrize(
    ("wanted", "progress", "same"),
    [
        pytest.param(source(), known(5), True, id="after a restart it goes on"),
        pytest.param(source(ASKED), known(ASKED, ASKED), True, id="also where its owner said when it begins"),
        pytest.param(source(OTHER), known(ASKED, ASKED), False, id="another start is another session"),
        pytest.param(source(again=1), known(5), False, id="so is counting anew"),
        pytest.param(source(ASKED, 1), known(5, ASKED, 1), True, id="which goes on after a restart, too"),
        pytest.param(source(ASKED, 2), known(5, ASKED, 1), False, id="and can be asked for once more"),
    ],
)
def test_which_session_is_asked_for(wanted: Source, progress: FileProgress, same: bool) -> None:
    assert progress.is_configured_by(wanted) == same


@pytest.mark.parametrize(
    ("wanted", "progress", "start"),
    [
        pytest.param(source(), None, NOW, id="a file begins when it is first opened"),
        pytest.param(source(ASKED), None, ASKED, id="or when its owner says"),
        pytest.param(source(), known(5), NOW, id="the file before has no say in it"),
        pytest.param(source(OTHER), known(ASKED, ASKED), OTHER, id="a new start is taken"),
        pytest.param(source(again=1), known(5), NOW, id="counted anew it begins now"),
        pytest.param(
            source(ASKED, 1), known(ASKED, ASKED), NOW, id="the start that was counted already counts nothing"
        ),
        pytest.param(source(OTHER, 1), known(ASKED, ASKED), OTHER, id="another one does"),
        pytest.param(source(ASKED, 2), known(5, ASKED, 1), NOW, id="also the next time"),
    ],
)
def test_when_a_new_session_begins(wanted: Source, progress: FileProgress | None, start: int) -> None:
    assert choose_start(wanted, progress, now=NOW) == start
