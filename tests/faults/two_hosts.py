"""Counts films while the cable between two hosts is out for a while. Run by test_network.py, in namespaces of its own.

    centre: nats-server, Postgres, and second replicas  ── cable ──  shop: the first replica of every service

Both are network namespaces of this machine. What is sent while the cable is out is lost, and nobody is told so.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from contracts.streams import DETECTIONS, Owner
from infra.local.processes import postgres
from infra.local.processes.nats import NatsServer
from infra.local.processes.postgres import PostgresServer
from infra.local.processes.service import Service
from infra.local.processes.unprivileged import ROOT
from infra.local.stack import Stack
from services.api.cameras.repository import ensure_camera
from services.api.cameras.setup import CameraSetup
from tests.faults.films import UNHURRIED, count_alone
from tests.faults.history import History, difference
from tests.faults.mischief import last_words
from tests.support.broker import eventually, jetstream
from tests.support.record import crossings, wait_for_end

CENTRE, SHOP = "10.77.0.1", "10.77.0.2"
TWICE = dict.fromkeys((Owner.DETECTOR, Owner.TRACKER, Owner.PERSISTENCE, Owner.API), 2)
PATIENCE = 150.0
_ASK = "import sys, urllib.request as r; print(r.urlopen(f'http://127.0.0.1:{sys.argv[1]}/readyz', timeout=5).status)"


class ShopService(Service):
    """A service in the shop, which reaches the servers over the cable."""

    def start(self) -> None:
        """Start the process there."""
        servers = {"METRICA_NATS_URL", "METRICA_DATABASE_URL"} & self._environment.keys()
        over = {name: self._environment[name].replace("127.0.0.1", CENTRE) for name in servers}
        command = [*_in_shop(), sys.executable, "-m", f"services.{self.owner.value}"]
        with self.log.open("ab") as log:  # as root, whose right it is to enter the shop
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=self._environment | over, cwd=ROOT, start_new_session=True
            )
        self.wanted = True

    def ready(self) -> bool:
        """Tell whether /readyz says so now, to a client in the shop."""
        ask = [*_in_shop(), sys.executable, "-c", _ASK, str(self.port)]
        return subprocess.run(ask, check=False, capture_output=True).returncode == 0


def main(folder: Path, seconds: float, cameras: Sequence[CameraSetup]) -> None:
    """Count in an empty folder, the cable being out for some seconds."""
    _lay_cable()
    _open_servers()
    stack = Stack(folder, replicas=TWICE, restart=False, durable=False, environment=UNHURRIED)
    for name, one in stack.services.items():
        if not name.endswith("-2"):
            stack.services[name] = ShopService(name, one.owner, one._environment, one.port, one.log)
    with stack:
        try:
            asyncio.run(_count(stack, seconds, cameras))
        except BaseException:
            for service in stack.services.values():
                print(f"\n{service.name}:\n{last_words(service.log)}")
            raise


async def _count(stack: Stack, seconds: float, cameras: Sequence[CameraSetup]) -> None:
    history = History(stack.database_url)
    for camera in cameras:
        await ensure_camera(stack.api_database_url, camera, stack.vault)
    await eventually(lambda: _far_enough(stack), within=PATIENCE)
    _ip("link set cable down")
    await asyncio.sleep(seconds)
    _ip("link set cable up")
    back = time.monotonic()
    for camera in cameras:
        await wait_for_end(stack.database_url, camera.camera, within=PATIENCE)
    print(f"counted to the end {time.monotonic() - back:.1f} s after the cable was in again")
    expected = {camera.camera: count_alone(camera) for camera in cameras}
    found = {camera.camera: await crossings(stack.database_url, camera.camera) for camera in cameras}
    assert difference(expected, found) == []
    await history.assert_rollups_agree()
    for service in stack.services.values():
        await asyncio.to_thread(service.wait_ready, 60)
        print(f"{service.name} is ready {time.monotonic() - back:.1f} s after the cable was in again")


async def _far_enough(stack: Stack) -> bool:
    async with jetstream(stack) as js:
        return (await js.stream_info(DETECTIONS.name)).state.messages > 200


def _lay_cable() -> None:
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)  # names of namespaces are files there
    _ip("link set lo up")
    _ip("netns add shop")
    _ip("link add cable type veth peer name plug netns shop")
    for device, address, where in (("cable", CENTRE, ""), ("plug", SHOP, "-n shop ")):
        _ip(f"{where}addr add {address}/24 dev {device}")
        _ip(f"{where}link set {device} up")
    _ip("-n shop link set lo up")


def _open_servers() -> None:
    """Let the servers be reached from the other host, too."""
    # Replaced for the process that calls this, which is one that does nothing else.
    config, settings = NatsServer._config, PostgresServer._settings
    NatsServer._config = lambda self: config(self) + 'host: "0.0.0.0"\n'  # type: ignore[method-assign]
    PostgresServer._settings = lambda self: [*settings(self), "listen_addresses=*"]  # type: ignore[method-assign]
    postgres._ACCESS = "host all all all scram-sha-256\n"


def _in_shop() -> list[str]:
    return [str(shutil.which("ip")), "netns", "exec", "shop"]


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), [CameraSetup.model_validate_json(one) for one in sys.argv[3:]])
