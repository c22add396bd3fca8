"""The folders that are covered so that a user reaches what it must, and those that show through."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from infra.local.errors import LocalError
from infra.local.view import SystemUser, closed_to_others, plan_mounts, reachable

STRANGER = SystemUser(65521, 65521)
ROOTS = SystemUser(65521, 65521, (os.getgid(),))


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of mode 0700 in one that everybody may pass, as far as the tests' folder goes."""
    home = tmp_path_factory.mktemp("home").resolve()
    (home / "project" / "data").mkdir(parents=True)
    (home / "python").mkdir()
    (home / "python" / "bin").touch()
    home.chmod(0o700)
    return home


def outermost_closed(folder: Path) -> Path:
    """pytest's own folders are closed, too."""
    return next(place for place in reversed((folder, *folder.parents)) if not place.stat().st_mode & 0o001)


def test_open_folders_need_no_cover() -> None:
    assert plan_mounts(STRANGER, [Path("/usr/bin"), Path("/etc/passwd")]) is None


def test_the_outermost_closed_folder_is_covered_and_paths_stay(home: Path) -> None:
    view = plan_mounts(STRANGER, [home / "project"], [home / "project" / "data"])
    assert view is not None
    assert view.covers == (str(outermost_closed(home)),)
    assert view.binds == ((str(home / "project"), False), (str(home / "project" / "data"), True))


def test_what_lies_in_a_folder_that_shows_through_is_not_shown_twice(home: Path) -> None:
    view = plan_mounts(STRANGER, [home / "python" / "bin", home / "python"])
    assert view is not None
    assert view.binds == ((str(home / "python"), False),)


def test_symbolic_links_on_the_way_are_made_again(home: Path) -> None:
    (home / "current").symlink_to("python")
    (home / "project" / "here").symlink_to(home / "current")
    view = plan_mounts(STRANGER, [home / "project" / "here" / "bin"])
    assert view is not None
    assert dict(view.links) == {
        str(home / "project" / "here"): str(home / "current"),
        str(home / "current"): "python",
    }
    assert view.binds == ((str(home / "python" / "bin"), False),)


def test_links_in_a_circle_are_told(home: Path) -> None:
    (home / "a").symlink_to("b")
    (home / "b").symlink_to("a")
    with pytest.raises(LocalError, match="circle"):
        plan_mounts(STRANGER, [home / "a"])


def test_a_folder_is_open_to_its_owner_and_by_its_group(home: Path) -> None:
    owner = SystemUser(os.getuid(), os.getgid())
    assert reachable(owner, home)
    assert not reachable(STRANGER, home)
    home.chmod(0o750)
    view = plan_mounts(ROOTS, [home / "python"])
    assert view is None or str(home) not in view.covers


@pytest.mark.parametrize(("mode", "closed"), [(0o600, True), (0o640, True), (0o604, False), (0o644, False)], ids=oct)
def test_a_file_is_closed_to_who_may_not_read_it(tmp_path: Path, mode: int, closed: bool) -> None:
    file = tmp_path / "file"
    file.touch()
    file.chmod(mode)
    assert closed_to_others(file) is closed


@pytest.mark.parametrize(("mode", "closed"), [(0o700, True), (0o701, True), (0o704, True), (0o705, False)], ids=oct)
def test_a_folder_is_closed_to_who_may_not_list_and_enter_it(tmp_path: Path, mode: int, closed: bool) -> None:
    tmp_path.chmod(mode)
    assert closed_to_others(tmp_path) is closed
    tmp_path.chmod(0o700)
