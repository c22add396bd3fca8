"""When a file is said to begin: that names its session, and so what is counted once and what anew."""

from __future__ import annotations

import pytest

from contracts.spec import Source
from services.ingest.state import Progress, choose_start

ASKED, OTHER, NOW = 1_000, 2_000, 9_000


def source(start: int | None = None, again: int = 0) -> Source:
    return Source(camera="door", address="clip.mp4", start=start, again=again)


def known(start: int, asked: int | None = None, again: int = 0) -> Progress:
    return Progress(session="s", start=start, asked=asked, again=again)


@pytest.mark.parametrize(
    ("wanted", "progress", "start"),
    [
        pytest.param(source(), None, NOW, id="a file begins when it is first opened"),
        pytest.param(source(ASKED), None, ASKED, id="or when its owner says"),
        pytest.param(source(), known(5), 5, id="after a restart it goes on as it began"),
        pytest.param(source(ASKED), known(ASKED, ASKED), ASKED, id="also as its owner said"),
        pytest.param(source(OTHER), known(ASKED, ASKED), OTHER, id="a new start is taken"),
        pytest.param(source(again=1), known(5), NOW, id="counted anew it begins now"),
        pytest.param(
            source(ASKED, 1), known(ASKED, ASKED), NOW, id="the start that was counted already counts nothing"
        ),
        pytest.param(source(OTHER, 1), known(ASKED, ASKED), OTHER, id="another one does"),
        pytest.param(source(ASKED, 1), known(5, ASKED, 1), 5, id="counted anew, it too goes on after a restart"),
        pytest.param(source(ASKED, 2), known(5, ASKED, 1), NOW, id="and can be counted anew once more"),
    ],
)
def test_start(wanted: Source, progress: Progress | None, start: int) -> None:
    assert choose_start(wanted, progress, now=NOW) == start
