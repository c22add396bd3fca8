"""The data folder: kept between runs, for one stack at a time, and closed to others."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from infra.local.data_dir import data_dir
from infra.local.data_dir.data_dir import DataDir
from infra.local.errors import LocalError
from infra.local.passwords import load_passwords
from infra.local.ports import is_free
from infra.local.processes.postgres import PostgresServer


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestPasswords:
    def test_they_are_made_once_and_kept(self, tmp_path: Path) -> None:
        first = load_passwords(tmp_path / "secrets", "nats", ["api", "tracker"])
        assert first == load_passwords(tmp_path / "secrets", "nats", ["api", "tracker"])
        assert first["api"] != first["tracker"]

    def test_nobody_else_can_read_them_whatever_the_umask(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            load_passwords(tmp_path / "secrets", "nats", ["api"])
        finally:
            os.umask(before)
        assert _mode(tmp_path / "secrets") == 0o700
        assert _mode(tmp_path / "secrets" / "nats-api") == 0o600

    def test_a_file_that_was_opened_to_others_is_closed_again(self, tmp_path: Path) -> None:
        load_passwords(tmp_path, "nats", ["api"])
        (tmp_path / "nats-api").chmod(0o644)
        load_passwords(tmp_path, "nats", ["api"])
        assert _mode(tmp_path / "nats-api") == 0o600

    @pytest.mark.parametrize("damage", [b"", b"short", b"\x00" * 40, b"two words and a quote'"])
    def test_a_damaged_one_is_made_anew(self, tmp_path: Path, damage: bytes) -> None:
        load_passwords(tmp_path, "nats", ["api"])
        (tmp_path / "nats-api").write_bytes(damage)
        made = load_passwords(tmp_path, "nats", ["api"])["api"]
        assert len(made) >= 20
        assert made == load_passwords(tmp_path, "nats", ["api"])["api"]


class TestFolder:
    def test_one_stack_at_a_time(self, tmp_path: Path) -> None:
        first = DataDir(tmp_path)
        first.note_owner("http://localhost:8080")
        with pytest.raises(LocalError, match=f"runs already .* http://localhost:8080.*kill {os.getpid()}"):
            DataDir(tmp_path)
        first.release()
        DataDir(tmp_path).release()

    def test_ports_are_kept_while_they_are_free(self, tmp_path: Path) -> None:
        first = DataDir(tmp_path)
        port = first.port("nats")
        assert is_free(port)
        first.release()
        second = DataDir(tmp_path)
        assert second.port("nats") == port
        second.release()

    def test_a_file_in_its_place_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "data").touch()
        with pytest.raises(LocalError, match=r"can't be used: .*METRICA_HOME"):
            DataDir(tmp_path / "data")

    def test_a_place_where_nothing_can_be_written_is_told(self) -> None:
        with pytest.raises(LocalError, match=r"can't be used: .*METRICA_HOME"):
            DataDir(Path("/proc/metrica"))  # refuses root as well

    def test_a_full_disk_is_told_before_anything_starts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        usage = shutil.disk_usage(tmp_path)._replace(free=3 * 2**20)
        monkeypatch.setattr("shutil.disk_usage", lambda _path: usage)
        with pytest.raises(LocalError, match=r"only 3 MB are free .*METRICA_HOME"):
            DataDir(tmp_path)

    def test_damaged_notes_of_ports_are_no_matter(self, tmp_path: Path) -> None:
        for damage in ("", "[]", "{", '{"nats": "x"}'):
            (tmp_path / "ports.json").write_text(damage)
            one = DataDir(tmp_path)
            assert one.port("nats")
            one.release()

    def test_a_log_is_kept_for_one_run_more_and_never_grows_for_ever(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(data_dir, "LOG_LIMIT", 10)
        one = DataDir(tmp_path)
        one.begin_log("api").write_text("first")
        log = one.begin_log("api")
        assert log.with_suffix(".log.1").read_text() == "first"
        with log.open("a") as writer:
            writer.write("far too long a log")
            writer.flush()
            one.bound_logs()
            writer.write("more")
        assert log.with_suffix(".log.1").read_text() == "far too long a log"
        assert log.read_text() == "more"
        one.release()

    def test_broken_postgres_data_is_one_clear_line(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "PG_VERSION").write_text("9.6\n")
        with pytest.raises(LocalError) as refusal:
            PostgresServer(tmp_path).start()
        assert "\n" not in str(refusal.value)
        assert str(tmp_path / "data") in str(refusal.value)
