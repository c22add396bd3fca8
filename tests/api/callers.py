"""Everybody who calls the API in a test, and things that they may do what they like with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from uuid import uuid4

from contracts.runs import Run, RunCamera, RunKind, RunPhase, run_key
from contracts.streams import RUNS
from services.kit.nats.run_entries import encoded
from tests.api.seeded import ROOT, Seed
from tests.api.served import Served

PEOPLE = {"viewer": "viewer@acme", "manager": "manager@acme", "admin": "admin@acme", "other admin": "admin@other"}


@dataclass
class Things:
    """Things of acme's that nobody has touched yet."""

    served: Served
    seed: Seed
    _numbers: Iterator[int] = field(default_factory=count)

    async def fresh(self) -> dict[str, str]:
        """Make some: the values of what a row names."""
        number = next(self._numbers)
        user, key, invitation = uuid4(), uuid4(), uuid4()
        store, camera = f"shop-{number}", f"door-{number}"
        await self.served.pool.execute(
            f"""
            INSERT INTO store (id, organization, name, time_zone) VALUES ('{store}', 'acme', 'Shop', 'UTC');
            INSERT INTO camera
            (id, store, name, revision, address, again, model, policy, width, quality, preview_fps, paused)
            VALUES ('{camera}', '{store}', '', 1, 'sim://door', 0, 'motion', 'latest', 960, 85, 4, false);
            INSERT INTO account (id, email, name, superadmin, disabled, created_at)
            VALUES ('{user}', '{number}@acme', '', false, false, now());
            INSERT INTO membership VALUES ('{user}', 'acme', 'viewer');
            INSERT INTO invitation (id, organization, email, name, role, hash, invited_by, created_at, expires_at)
            VALUES ('{invitation}', 'acme', 'invited-{number}@acme', '', 'viewer', 'h{number}', '', now(), now());
            INSERT INTO api_key (id, organization, name, role, prefix, hash, created_at)
            VALUES ('{key}', 'acme', 'key', 'viewer', 'mk_{number}', '', now());
            """
        )
        run = Run(
            name=f"run-{number}", kind=RunKind.DETECTIONS, cameras=(RunCamera(camera=camera, store=store),), since=1,
            until=2, created_at=1,
        )  # fmt: skip
        await (await self.served.bus.bucket(RUNS)).put(run_key(run.name), encoded(run.in_phase(RunPhase.STOPPED)))
        promotion = await self.served.pool.fetchval(
            "INSERT INTO promotion (store, camera, line, since, until, run, at, who, note)"
            " VALUES ($1, $2, 'x', '2026-11-23 08:00Z', '2026-11-23 09:00Z', 'earlier', now(), 'somebody', '')"
            " RETURNING id",
            store,
            camera,
        )
        return {
            "run": run.name,
            "promotion": str(promotion),
            "organization": "acme",
            "store": store,
            "camera": camera,
            "user": str(user),
            "key": str(key),
            "invitation": str(invitation),
            "word": f"new-{number}",
            "sign_in": str(uuid4()),
        }


class Callers:
    """Everybody who calls."""

    def __init__(self, served: Served, seed: Seed) -> None:
        self._served, self._seed = served, seed

    async def headers(self, caller: str) -> dict[str, str]:
        """The headers of their requests."""
        match caller:
            case "anonymous":
                return {}
            case "expired token":
                token = self._seed.token(ROOT, at=self._seed.now - timedelta(hours=1))
                return {"Authorization": f"Bearer {token}"}
            case "worker key":
                return {"X-Worker-Key": self._seed.keys["acme-worker"]}
            case "revoked key":
                key = self._seed.key_ids["other-worker"]
                await self._served.pool.execute("UPDATE api_key SET revoked_at = now() WHERE id = $1", key)
                return {"X-Worker-Key": self._seed.keys["other-worker"]}
            case "reader's key":
                return {"Authorization": f"Bearer {self._seed.keys['acme-reader']}"}
            case "other's key":
                return {"Authorization": f"Bearer {self._seed.keys['other-reader']}"}
            case "superadmin":
                return self._seed.headers(ROOT)
            case _:
                return self._seed.headers(PEOPLE[caller])

    async def sign_in_again(self) -> None:
        """For who has just signed out."""
        now = self._seed.now
        await self._served.pool.executemany(
            'INSERT INTO sign_in (id, "user", began_at, last_used_at, ends_at, browser, agent, address)'
            " VALUES ($1, $2, $3, $3, $4, false, 'tests', '') ON CONFLICT DO NOTHING",
            [
                (self._seed.sign_in(email), self._seed.user(email), now, now + timedelta(days=30))
                for email in (*PEOPLE.values(), ROOT)
            ],
        )
        await self._served.pool.executemany(
            'INSERT INTO refresh_token (hash, family, "user", issued_at, expires_at)'
            " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            [
                (email, self._seed.sign_in(email), self._seed.user(email), now, now + timedelta(days=1))
                for email in (*PEOPLE.values(), ROOT)
            ],
        )
