"""Stepping down from root: who becomes whom, what is refused before anything starts, and what a process is given."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from contracts.streams import Owner
from infra.local import __main__ as command
from infra.local.data_dir.data_dir import DataDir
from infra.local.errors import LocalError
from infra.local.outside import check_readable, external_files
from infra.local.ports import unprivileged_ports
from infra.local.processes import unprivileged
from infra.local.processes.process import kill_session, spawn
from infra.local.processes.unprivileged import (
    FIRST_UID_SETTING,
    is_root,
    named_files,
    nats_user,
    plain_environment,
    postgres_user,
    program_folders,
    service_user,
    without_roots_own,
)
from infra.local.rehearsal import rehearse

as_root = pytest.mark.skipif(not is_root(), reason="an ordinary user has no other users to start processes as")
WITHOUT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(24, int(sys.argv[1]), 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
"""Goes on without one capability."""


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process as services are started."""
    process = spawn(
        [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(600)"],
        log=tmp_path / "log",
        user=service_user(Owner.TRACKER),
        reads=program_folders(),
    )
    deadline = time.monotonic() + 30
    while "up" not in (tmp_path / "log").read_text():
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield process
    kill_session(process)


class TestUsers:
    @as_root
    def test_none_is_root_and_none_is_anothers(self) -> None:
        users = [nats_user(), postgres_user(), *(service_user(owner) for owner in Owner)]
        ids = [user.uid for user in users if user is not None]
        assert len(set(ids)) == len(Owner) + 2
        assert 0 not in ids

    @as_root
    def test_an_account_that_has_the_id_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        taken = pwd.getpwnam("nobody").pw_uid
        monkeypatch.setenv(FIRST_UID_SETTING, str(taken))
        with pytest.raises(LocalError, match=rf"ingest .*{taken}, which is the account nobody's.*{FIRST_UID_SETTING}="):
            service_user(Owner.INGEST)

    @as_root
    @pytest.mark.parametrize("wrong", ["0", "-1", "many", "99999999999"])
    def test_a_first_id_that_is_none_is_told(self, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
        monkeypatch.setenv(FIRST_UID_SETTING, wrong)
        with pytest.raises(LocalError, match=f"{FIRST_UID_SETTING}={wrong} is no user id"):
            nats_user()

    def test_an_ordinary_user_starts_everything_as_themselves(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.geteuid", lambda: pwd.getpwnam("nobody").pw_uid)
        assert [nats_user(), postgres_user(), *(service_user(owner) for owner in Owner)] == [None] * (len(Owner) + 2)

    def test_an_ordinary_user_without_an_account_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.geteuid", lambda: 4_000_000)
        with pytest.raises(LocalError, match="useradd --uid 4000000"):
            postgres_user()


class TestProcess:
    @as_root
    def test_root_can_start_nothing_as_root(self, tmp_path: Path) -> None:
        process = spawn(["/bin/true"], log=tmp_path / "log")
        assert process.wait(30) != 0
        assert "it would run as root" in (tmp_path / "log").read_text()

    def test_it_dies_with_who_started_it_although_it_changed_its_user(self, tmp_path: Path) -> None:
        starter = (
            "import sys, time; from pathlib import Path; from contracts.streams import Owner; "
            "from infra.local.processes.process import spawn; from infra.local.processes.unprivileged import *; "
            "child = spawn([sys.executable, '-c', 'print(\"up\", flush=True); import time; time.sleep(600)'], "
            "log=Path(sys.argv[1]), user=service_user(Owner.API), reads=program_folders()); "
            "print(child.pid, flush=True); time.sleep(600)"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        parent = subprocess.Popen(
            [sys.executable, "-c", starter, tmp_path / "log"], stdout=subprocess.PIPE, env=environment
        )
        assert parent.stdout is not None
        with parent.stdout as said:
            child = psutil.Process(int(said.readline()))
        deadline = time.monotonic() + 30
        while "up" not in (tmp_path / "log").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        child.wait(10)

    def test_it_is_alone_in_its_session(self, sleeper: subprocess.Popen[bytes]) -> None:
        assert os.getsid(sleeper.pid) == sleeper.pid

    @as_root
    def test_its_mounts_are_its_own(self, tmp_path: Path) -> None:
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        (closed / "file").touch(mode=0o644)
        process = spawn(
            ["/bin/cat", "/proc/self/mounts"],
            log=tmp_path / "log",
            user=service_user(Owner.INGEST),
            reads=[closed / "file"],
        )
        assert process.wait(30) == 0
        assert f"{closed}/file " in (tmp_path / "log").read_text()
        assert str(closed) not in Path("/proc/self/mounts").read_text()


class TestEnvironment:
    def test_a_server_is_told_nothing_that_is_not_its_business(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
        monkeypatch.setenv("LD_LIBRARY_PATH", ":")
        assert {"AWS_SECRET_ACCESS_KEY", "LD_LIBRARY_PATH"}.isdisjoint(plain_environment())

    @as_root
    def test_roots_home_is_no_services(self) -> None:
        mine = {
            "HOME": "/home/mine",
            "XDG_CACHE_HOME": "/home/mine/.cache",
            "SUDO_USER": "me",
            "TMPDIR": "/home/mine/tmp",
            "LANG": "C",
        }
        assert without_roots_own(mine, None) == {"HOME": "/nonexistent", "LANG": "C"}

    def test_files_that_settings_name_are_found_and_the_data_folder_is_none(self, tmp_path: Path) -> None:
        settings = {
            "METRICA_MODELS": f"{tmp_path}:/nowhere/at/all",
            "METRICA_HOME": str(tmp_path),
            "METRICA_PORT": "8080",
            "OTHER": str(tmp_path),
        }
        assert named_files(settings) == [tmp_path]


class TestOutside:
    def test_addresses_and_models_that_are_files_are_found(self, tmp_path: Path) -> None:
        for name in ("clip.mp4", "net.xml", "net.bin"):
            (tmp_path / name).touch()
        found = external_files(str(tmp_path / "clip.mp4"), str(tmp_path / "net.xml"))
        assert found.videos == (tmp_path / "clip.mp4",)
        assert found.models == (tmp_path / "net.xml", tmp_path / "net.bin")
        assert external_files(str(tmp_path / "none.mp4"), f"ultralytics:{tmp_path}").models == (tmp_path,)
        assert (
            external_files("rtsp://10.0.0.5/", "person-detection-0200")
            == external_files("sim://door", None)
            == external_files("0", "motion")
        )

    @as_root
    def test_a_video_that_is_roots_alone_is_told_with_the_command_that_opens_it(self, tmp_path: Path) -> None:
        clip = tmp_path / "clip.mp4"
        clip.touch(mode=0o600)
        with pytest.raises(LocalError, match=rf"CAMERA={clip} is closed .*chmod o\+r {clip}"):
            check_readable(str(clip), None)
        clip.chmod(0o644)
        check_readable(str(clip), None)

    @as_root
    def test_models_that_are_roots_alone_are_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        tmp_path.chmod(0o700)
        monkeypatch.setenv("METRICA_MODELS", str(tmp_path))
        with pytest.raises(LocalError, match=rf"METRICA_MODELS={tmp_path} is closed .*chmod -R o\+rX {tmp_path}"):
            check_readable(None, None)


@as_root
class TestRefusals:
    def test_a_try_leaves_nothing_and_says_nothing(self, tmp_path: Path) -> None:
        rehearse([], [tmp_path], tmp_path / "log")
        assert (tmp_path / "log").read_text() == ""

    def test_programs_that_only_root_may_read_are_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in unprivileged._SOURCES:
            (tmp_path / name).mkdir(parents=True)
        (tmp_path / "services" / "secret.py").touch(mode=0o600)
        monkeypatch.setattr(unprivileged, "ROOT", tmp_path)
        with pytest.raises(LocalError, match=rf"closed to everybody but root.*chmod -R go\+rX {tmp_path}/services$"):
            unprivileged.check_programs()

    def test_a_port_that_only_root_may_take_is_told(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(command, "unprivileged_ports", lambda: 1024)
        assert command.up(["PORT=80"]) == 2
        assert "choose one above 1023" in capsys.readouterr().err
        assert 0 <= unprivileged_ports() <= 1024

    def test_root_that_may_not_mount_is_told_what_to_do(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o700)
        said = self._up_without(21, tmp_path)  # CAP_SYS_ADMIN
        assert "is closed to everybody but root" in said
        assert "METRICA_HOME=/path/to/folder" in said
        assert "unshare(CLONE_NEWNS): Operation not permitted" in said

    def test_root_that_may_not_change_its_user_is_told_which_right_is_missing(self, tmp_path: Path) -> None:
        assert "root lacks CAP_SETUID here" in self._up_without(7, tmp_path)

    @staticmethod
    def _up_without(capability: int, folder: Path) -> str:
        environment = {**os.environ, "METRICA_HOME": str(folder / "data"), "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT, str(capability), "-m", "infra.local", "PORT=18093"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert not list((folder / "data" / "nats").iterdir())  # before anything is started
        return done.stderr


@as_root
def test_data_that_root_made_is_told_to_an_ordinary_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    DataDir(tmp_path).release()
    (tmp_path / "nats" / "jetstream").mkdir()
    monkeypatch.setattr("os.geteuid", lambda: 4_000_000)
    with pytest.raises(LocalError, match=rf"jetstream belongs to root.*as root again.*chown -R .* {tmp_path}"):
        DataDir(tmp_path)
