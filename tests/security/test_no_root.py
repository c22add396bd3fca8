"""Nothing that Metrica starts runs as root or keeps a right of root's, wherever it lies.

Row 9: services, nats-server and Postgres run as ordinary users without capabilities and with no_new_privs.
Row 10: Postgres reads nothing but its own, also where data and project lie in a folder of mode 0700.
"""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from contracts.streams import Owner
from infra.local.camera import configure_camera
from infra.local.errors import LocalError
from infra.local.options import Options
from infra.local.ports import free_port
from infra.local.processes.nats import NatsServer
from infra.local.processes.postgres import PostgresServer
from infra.local.processes.process import kill_session, spawn
from infra.local.processes.unprivileged import ROOT, give_all, is_root, postgres_user, program_folders, service_user
from infra.local.stack import Stack
from infra.local.view import SystemUser

SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
as_root = pytest.mark.skipif(not is_root(), reason="an ordinary user has no other users to start processes as")
"""Tests of what only root can do; run as root, as in the project's containers and on its CI, none is left out."""


def status(pid: int) -> dict[str, list[str]]:
    """The lines of /proc/PID/status, each as words."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}


def wait_until_it_says(output: Path, words: str, process: subprocess.Popen[bytes], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while words not in output.read_text():
        assert process.poll() is None, output.read_text()
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of mode 0700, with a secret of its owner's beside what Metrica keeps there."""
    folder = tmp_path_factory.mktemp("closed")
    folder.chmod(0o700)
    (folder / "diary").write_text("dear diary")
    (folder / "diary").chmod(0o644)
    return folder


@pytest.fixture(scope="module")
def stack(closed: Path) -> Iterator[Stack]:
    """All of Metrica, its data in the closed folder, with a video that lies there, too."""
    with Stack(closed / "data", durable=False, restart=False, local_access="none") as running:
        asyncio.run(configure_camera(running.api_database_url, Options(camera="sim://door"), running.vault))
        yield running


@pytest.fixture(scope="module")
def processes(stack: Stack) -> dict[str, psutil.Process]:
    """Whatever runs now, by its name: also what servers and services started themselves."""
    tops = {name: service.pid for name, service in stack.services.items()}
    tops |= {"nats": stack.nats.pid, "postgres": stack.postgres.pid}
    found: dict[str, psutil.Process] = {}
    for name, pid in tops.items():
        found[name] = psutil.Process(pid)
        found |= {f"{name}-{child.pid}": child for child in found[name].children(recursive=True)}
    return found


def test_no_process_is_roots_or_has_a_capability_or_can_gain_one(processes: dict[str, psutil.Process]) -> None:
    """Row 9."""
    assert len(processes) >= len(Owner) + 2
    for name, process in processes.items():
        found = status(process.pid)
        assert "0" not in {*found["Uid"], *found["Gid"], *found["Groups"]}, name
        assert found["NoNewPrivs"] == ["1"], name
        for which in SETS:
            if which != "CapBnd" or is_root():  # only root can empty it; nobody can use it with no_new_privs
                assert int(found[which][0], 16) == 0, (name, which)


@as_root
def test_each_service_and_server_has_a_user_of_its_own(processes: dict[str, psutil.Process]) -> None:
    """Row 9."""
    users = {name: status(processes[name].pid)["Uid"][0] for name in (*Owner, "nats", "postgres")}
    assert len(set(users.values())) == len(users), users


def test_none_has_a_terminal_or_a_file_of_ours_open(processes: dict[str, psutil.Process]) -> None:
    """Row 9: what root opened is not handed on, but for the log."""
    for name, process in processes.items():
        if not name.startswith("postgres") or name == "postgres":
            assert process.terminal() is None
            ours = [file.path for file in process.open_files() if "secrets" in file.path or file.path.endswith("lock")]
            assert not ours, name


def test_every_process_may_open_as_many_files_as_the_system_lets_it(processes: dict[str, psutil.Process]) -> None:
    """Row 3, in part: the soft limit is the hard one."""
    for name, process in processes.items():
        limits = Path(f"/proc/{process.pid}/limits").read_text().splitlines()
        soft, hard = next(line for line in limits if line.startswith("Max open files")).split()[3:5]
        assert soft == hard or int(soft) >= 1 << 20, name


@as_root
def test_secrets_are_roots_alone_and_data_is_its_servers(stack: Stack, closed: Path) -> None:
    """Row 9."""
    data = closed / "data"
    for path in (data / "secrets", *(data / "secrets").iterdir(), data / "developer.env"):
        found = path.stat()
        assert (found.st_uid, stat.S_IMODE(found.st_mode) & 0o077) == (0, 0), path
    for path, pid in ((data / "nats" / "jetstream", stack.nats.pid), (data / "postgres" / "data", stack.postgres.pid)):
        assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (psutil.Process(pid).uids().real, 0o700)
        # What root writes lies beside, where nobody can put a symbolic link in its place.
        assert path.parent.stat().st_uid == 0


@as_root
@pytest.mark.parametrize(
    "what",
    [
        "pg_read_file('/etc/shadow')",
        "pg_read_file('{data}/secrets/metrica-secret-key')",
        "pg_read_file('{data}/developer.env')",
        "pg_read_file('{closed}/diary')",
        "pg_ls_dir('{data}/nats/jetstream')",
        "pg_ls_dir('/root/.ssh')",
        "pg_read_file('/proc/{api}/environ')",
        "pg_read_file('/proc/{parent}/environ')",
    ],
)
def test_postgres_reads_nothing_but_its_own(stack: Stack, closed: Path, what: str) -> None:
    """Row 10, as the database's superuser."""
    asked = what.format(data=closed / "data", closed=closed, api=stack.services["api"].pid, parent=os.getpid())
    with pytest.raises(LocalError, match=r"Permission denied|No such file"):
        stack.postgres.execute(f"SELECT {asked}")


@as_root
@pytest.mark.parametrize(
    "command",
    [
        "cat {data}/secrets/metrica-secret-key",
        "kill -9 {api}",
        "kill -9 {parent}",
        "touch {data}/postgres/mine",
        "rm {data}/postgres/pg_hba.conf",
        "touch {root}/infra/mine",
        "unshare --mount true",
        "chroot / true",
    ],
)
def test_programs_that_postgres_starts_can_do_no_more(stack: Stack, closed: Path, command: str) -> None:
    """Row 10, as the database's superuser, who may start programs."""
    api = stack.services["api"].pid
    asked = command.format(data=closed / "data", api=api, parent=os.getpid(), root=ROOT)
    with pytest.raises(LocalError, match="failed"):
        stack.postgres.execute(f"COPY (SELECT 1) TO PROGRAM '{asked} 2>/dev/null'")
    assert psutil.pid_exists(api)


TAKEN_OVER = """
import ctypes, os, signal, sys
data, closed, api, postgres, parent, root = sys.argv[1:7]
libc = ctypes.CDLL(None, use_errno=True)

def told(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")

def read(path):
    return lambda: open(path, "rb").read(1)

tries = {
    "a secret": read(f"{data}/secrets/metrica-secret-key"),
    "developer.env": read(f"{data}/developer.env"),
    "the database": lambda: os.listdir(f"{data}/postgres/data"),
    "the store of NATS": lambda: os.listdir(f"{data}/nats/jetstream"),
    "the detector's models": lambda: open(f"{data}/models/mine", "w"),
    "a private file beside": read(f"{closed}/diary"),
    "the password of the api": read(f"/proc/{api}/environ"),
    "the memory of the api": lambda: open(f"/proc/{api}/mem", "r+b"),
    "what root was told": read(f"/proc/{parent}/environ"),
    "tracing the api": lambda: told(libc.ptrace(16, int(api), 0, 0)),
    "ending the api": lambda: os.kill(int(api), signal.SIGKILL),
    "ending Postgres": lambda: os.kill(int(postgres), signal.SIGKILL),
    "ending what started it": lambda: os.kill(int(parent), signal.SIGKILL),
    "changing the program": lambda: open(f"{root}/services/mine.py", "w"),
    "changing the packages": lambda: open(f"{sys.prefix}/mine", "w"),
    "being root": lambda: os.setuid(0),
    "being the api": lambda: os.setuid(os.stat(f"/proc/{api}").st_uid),
    "other groups": lambda: os.setgroups([0]),
    "uncovering a folder": lambda: told(libc.umount2(closed.encode(), 2)),
    "a mount": lambda: told(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)),
    "another root": lambda: os.chroot("/"),
    "another name of the machine": lambda: told(libc.sethostname(b"mine", 4)),
    "a device": lambda: os.mknod("/tmp/metrica-mine", 0o20666, os.makedev(1, 1)),
    "the system's passwords": read("/etc/shadow"),
}
for name, attempt in tries.items():
    try:
        attempt()
    except OSError:
        continue
    print("possible:", name)
print("done")
"""


@as_root
@pytest.mark.parametrize("owner", Owner)
def test_a_service_that_was_taken_over_reaches_no_other(stack: Stack, closed: Path, owner: Owner) -> None:
    """Row 9: a program of an attacker's in a service's place, for example after a hostile stream in ingest."""
    victim = "tracker" if owner is Owner.API else "api"
    pids = (stack.services[victim].pid, stack.postgres.pid, os.getpid())
    arguments = [str(part) for part in (closed / "data", closed, *pids, ROOT)]
    log = closed / f"taken-over-{owner}.log"
    user, reads = service_user(owner), [*program_folders(), *stack.services[owner].reads]
    models = [closed / "data" / "models"] if owner is Owner.DETECTOR else []
    process = spawn(
        [sys.executable, "-c", TAKEN_OVER, *arguments], log=log, user=user, reads=reads, writes=models, cwd=ROOT
    )
    assert process.wait(60) == 0, log.read_text()
    said = log.read_text().splitlines()
    assert said == (["possible: the detector's models", "done"] if models else ["done"])


@as_root
def test_a_video_in_a_closed_folder_is_read_and_what_lies_beside_it_is_not(closed: Path, tmp_path: Path) -> None:
    """Row 9: absolute paths stay as they are, also by symbolic links."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    (private / "clip.mp4").write_text("a video")
    (private / "other.mp4").write_text("another")
    (private / "link.mp4").symlink_to("clip.mp4")
    look = "import sys; print(open(sys.argv[1]).read(), __import__('os').listdir(sys.argv[2]))"
    log = tmp_path / "log"
    user, link = service_user(Owner.INGEST), private / "link.mp4"
    command = [sys.executable, "-c", look, str(link), str(private)]
    process = spawn(command, log=log, user=user, reads=[*program_folders(), link])
    assert process.wait(60) == 0, log.read_text()
    assert log.read_text() in ("a video ['clip.mp4', 'link.mp4']\n", "a video ['link.mp4', 'clip.mp4']\n")


@as_root
def test_data_of_an_earlier_release_changes_hands_and_is_kept(tmp_path: Path) -> None:
    """Row 9: all but Postgres's data was root's."""
    tmp_path.chmod(0o700)
    with PostgresServer(tmp_path / "postgres", durable=False) as postgres, NatsServer(tmp_path / "nats") as nats:
        postgres.execute("CREATE TABLE kept AS SELECT 7 AS a")
        passwords = postgres.passwords
    nobody = postgres_user()
    assert nobody is not None
    give_all(tmp_path / "nats", 0, 0)
    give_all(tmp_path / "postgres", nobody.uid, nobody.gid)
    give_all(tmp_path / "postgres" / "data", 1234, 1234)  # of a user who is gone
    with (
        PostgresServer(tmp_path / "postgres", passwords, durable=False) as postgres,
        NatsServer(tmp_path / "nats", nats.passwords),
    ):
        assert postgres.execute("SELECT a FROM kept").strip() == "7"
        assert (tmp_path / "postgres").stat().st_uid == 0


@as_root
def test_a_file_with_another_name_elsewhere_is_not_given_away(tmp_path: Path) -> None:
    """Row 9: who has taken over a server can't have root give them other files at the next start."""
    secret, folder = tmp_path / "secret", tmp_path / "theirs"
    secret.touch(mode=0o600)
    folder.mkdir()
    (folder / "hard").hardlink_to(secret)
    (folder / "soft").symlink_to(secret)
    (folder / "to-all").symlink_to(tmp_path)
    give_all(folder, 1234, 1234)
    assert secret.stat().st_uid == tmp_path.stat().st_uid == 0
    assert folder.stat().st_uid == (folder / "soft").lstat().st_uid == 1234


@pytest.mark.timeout(240)
def test_an_ordinary_users_metrica_is_theirs_whoever_starts_it(tmp_path: Path) -> None:
    """Row 9: `./taskw up` by an ordinary user; and by root on that user's data, where root becomes that user."""
    user = postgres_user() or SystemUser(os.getuid(), os.getgid())
    home, output = tmp_path / "data", tmp_path / "said"
    home.mkdir()
    os.chown(home, user.uid, user.gid)
    tmp_path.chmod(0o700)
    environment = {**os.environ, "METRICA_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "infra.local", f"PORT={free_port()}"]
    for number in range(2):
        output.write_text("")
        with output.open("ab") as out:
            process = (
                subprocess.Popen(command, stdout=out, stderr=out, env=environment)
                if number
                else spawn(
                    command,
                    log=output,
                    env=environment,
                    user=user if is_root() else None,
                    reads=program_folders(),
                    writes=[home],
                )
            )
        try:
            wait_until_it_says(output, "Stop it with Ctrl-C", process)
            me = psutil.Process(process.pid)
            everything = [*me.children(recursive=True), *([me] if is_root() else [])]
            assert len(everything) >= len(Owner) + 2
            for one in everything:
                found = status(one.pid)
                assert set(found["Uid"]) == {str(user.uid)}, one
                assert found["NoNewPrivs"] == ["1"], one
                assert int(found["CapPrm"][0], 16) == int(found["CapAmb"][0], 16) == 0, one
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0, output.read_text()
        finally:
            if number:
                process.kill()
                process.wait()
            else:
                kill_session(process)
        assert {path.lstat().st_uid for path in (home, *home.rglob("*"))} == {user.uid}
