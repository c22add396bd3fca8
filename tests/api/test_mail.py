"""Mail on its way: nothing is lost, nothing is sent twice without need, and nothing leaves unencrypted."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
import trustme
from pydantic import ValidationError
from sqlalchemy.pool import NullPool
from sqlmodel.ext.asyncio.session import AsyncSession

from infra.local.ports import free_port
from services.api.database import Sessions, open_engine, open_sessions
from services.api.mail import messages, outbox
from services.api.mail.messages import Letter
from services.api.mail.outbox import Outbox
from services.api.mail.repository import withdraw
from services.api.settings import ApiSettings
from services.kit.database.account_tables import OutgoingMail
from services.kit.tasks import cancel_and_wait
from tests.api.mailing import PUBLIC_URL, mail_settings
from tests.api.served import SECRET_KEY, SOON, VAULT, FakeClock
from tests.support.post_office import PostOffice, post_office

LETTER = Letter("Hello", f"A link: {PUBLIC_URL}/account.html#reset=secret\n")
DAY = timedelta(days=1)
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
BASE: dict[str, object] = {"database_url": "postgresql://nowhere", "secret_key": SECRET_KEY}


@pytest.fixture
async def sessions(api_database_url: str) -> AsyncIterator[Sessions]:
    engine = open_engine(api_database_url, isolation_level="READ COMMITTED", poolclass=NullPool)
    yield open_sessions(engine)
    await engine.dispose()


@pytest.fixture
def make(sessions: Sessions, clock: FakeClock) -> Callable[..., Outbox]:
    async def nobody(_session: AsyncSession, _mail: OutgoingMail) -> Letter | None:
        return None

    def of(post: PostOffice, **said: object) -> Outbox:
        settings = ApiSettings.model_validate(BASE | mail_settings(post) | said)
        return Outbox(sessions, settings, VAULT, clock, nobody)

    return of


@asynccontextmanager
async def running(*boxes: Outbox) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(box.run()) for box in boxes]
    try:
        yield
    finally:
        await cancel_and_wait(*tasks)


async def put(sessions: Sessions, box: Outbox, clock: FakeClock, recipient: str = "mara@shop.example") -> None:
    async with sessions() as session, session.begin():
        box.put(session, recipient, LETTER, None, clock() + DAY)
    box.wake()


async def empty(pool: asyncpg.Pool) -> None:
    """Wait until no mail is left."""
    async with asyncio.timeout(4 * SOON):
        while await pool.fetchval("SELECT count(*) FROM outgoing_mail"):  # noqa: ASYNC110  # of a database
            await asyncio.sleep(0.02)


async def tried(pool: asyncpg.Pool, times: int) -> timedelta:
    """Wait until the mail was tried so often and is to be tried again; how long it waits then."""
    query = "SELECT next_at - $1 FROM outgoing_mail WHERE attempts = $2 AND next_at - $1 < $3"
    now = await pool.fetchval("SELECT min(expires_at) - interval '1 day' FROM outgoing_mail")
    async with asyncio.timeout(4 * SOON):
        while (found := await pool.fetchval(query, now, times, outbox.TAKEN_FOR)) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert isinstance(found, timedelta)
    return found


async def test_a_mail_is_sent_once_and_sealed_until_then(
    make: Callable[..., Outbox], sessions: Sessions, clock: FakeClock, pool: asyncpg.Pool, post: PostOffice
) -> None:
    one, other = make(post), make(post)
    await put(sessions, one, clock)
    stored = await pool.fetchval("SELECT m::text FROM outgoing_mail m")
    assert "secret" not in stored
    async with running(one, other):
        mail = await post.next()
        await empty(pool)

    assert (mail.recipients, mail.message["Subject"], mail.message["Auto-Submitted"]) == (
        ["mara@shop.example"], "Hello", "auto-generated",
    )  # fmt: skip
    assert (post.tries, post.taken.empty()) == (1, True)


async def test_many_mails_are_shared_by_replicas(
    make: Callable[..., Outbox], sessions: Sessions, clock: FakeClock, pool: asyncpg.Pool, post: PostOffice
) -> None:
    boxes = [make(post) for _ in range(3)]
    for number in range(12):
        await put(sessions, boxes[0], clock, f"p{number}@shop.example")
    async with running(*boxes):
        await empty(pool)

    assert post.tries == 12
    assert len({(await post.next()).recipients[0] for _ in range(12)}) == 12


async def test_a_mail_server_that_is_away_is_waited_for_even_by_another_process(
    make: Callable[..., Outbox], sessions: Sessions, clock: FakeClock, pool: asyncpg.Pool
) -> None:
    port = free_port()
    gone = PostOffice(port)
    box = make(gone)
    await put(sessions, box, clock)
    async with running(box):
        assert await tried(pool, 1) == outbox.FIRST_PAUSE

    async with post_office(port=port) as post:
        after_restart = make(post)
        clock.now += outbox.FIRST_PAUSE
        async with running(after_restart):
            assert (await post.next()).message["Subject"] == "Hello"
            await empty(pool)


async def test_a_mail_that_is_not_taken_now_is_tried_less_and_less_often(
    make: Callable[..., Outbox], sessions: Sessions, clock: FakeClock, pool: asyncpg.Pool, post: PostOffice
) -> None:
    post.refusals = ["451 later"] * 2
    box = make(post)
    await put(sessions, box, clock)
    async with running(box):
        await tried(pool, 1)
        clock.now += outbox.FIRST_PAUSE
        box.wake()
        await tried(pool, 2)
        clock.now += 2 * outbox.FIRST_PAUSE
        box.wake()
        await post.next()
        await empty(pool)

    assert post.tries == 3


async def test_a_mail_that_is_refused_for_good_is_given_up(
    make: Callable[..., Outbox], sessions: Sessions, clock: FakeClock, pool: asyncpg.Pool, post: PostOffice
) -> None:
    post.refusals = ["550 nobody of that name"]
    box = make(post)
    await put(sessions, box, clock)
    async with running(box):
        await empty(pool)

    assert (post.tries, post.taken.empty()) == (1, True)


async def test_a_mail_is_given_up_once_its_link_has_expired(
    make: Callable[..., Outbox], sessions: Sessions, clock: FakeClock, pool: asyncpg.Pool, post: PostOffice
) -> None:
    box = make(post)
    await put(sessions, box, clock)
    clock.now += DAY
    async with running(box):
        await empty(pool)

    assert post.tries == 0


async def test_what_a_process_died_over_is_sent_by_another_one(
    make: Callable[..., Outbox], sessions: Sessions, clock: FakeClock, pool: asyncpg.Pool, post: PostOffice
) -> None:
    post.hold.clear()
    dying, other = make(post), make(post)
    await put(sessions, dying, clock)
    async with running(dying):
        async with asyncio.timeout(SOON):
            while not post.tries:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    post.hold.set()
    async with running(other):
        assert await pool.fetchval("SELECT count(*) FROM outgoing_mail") == 1, "it is another one's for a while"
        clock.now += outbox.TAKEN_FOR
        other.wake()
        await empty(pool)
        assert (await post.next()).message["Subject"] == "Hello"

    assert post.tries == 2


async def test_what_is_withdrawn_does_not_leave(
    make: Callable[..., Outbox], sessions: Sessions, clock: FakeClock, pool: asyncpg.Pool, post: PostOffice
) -> None:
    box, about = make(post), uuid4()
    async with sessions() as session, session.begin():
        box.put(session, "mara@shop.example", LETTER, about, clock() + DAY)
    async with sessions() as session, session.begin():
        await withdraw(session, about)
    async with running(box):
        await empty(pool)

    assert post.tries == 0


# Encrypted.


@pytest.fixture
def authority(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate authority's file, and a mail server's context with a certificate of it."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return path, context


@pytest.mark.parametrize("kind", ["starttls", "tls"])
async def test_mail_leaves_encrypted_and_signed_in(
    kind: str,
    authority: tuple[Path, ssl.SSLContext],
    make: Callable[..., Outbox],
    sessions: Sessions,
    clock: FakeClock,
    pool: asyncpg.Pool,
) -> None:
    ca, context = authority
    login = ("metrica", "the mail server's password")
    async with post_office(**{kind: context}, login=login) as post:  # type: ignore[arg-type]
        said = {"smtp_tls": kind, "smtp_tls_ca": ca, "smtp_user": login[0], "smtp_password": login[1]}
        box = make(post, **said)
        await put(sessions, box, clock)
        async with running(box):
            assert (await post.next()).encrypted
            await empty(pool)


@pytest.mark.parametrize("kind", ["starttls", "tls"])
async def test_a_certificate_of_somebody_else_gets_no_mail_and_no_password(
    kind: str,
    authority: tuple[Path, ssl.SSLContext],
    make: Callable[..., Outbox],
    sessions: Sessions,
    clock: FakeClock,
    pool: asyncpg.Pool,
) -> None:
    async with post_office(**{kind: authority[1]}) as post:  # type: ignore[arg-type]
        box = make(post, smtp_tls=kind)
        await put(sessions, box, clock)
        async with running(box):
            await tried(pool, 1)

    assert post.tries == 0


async def test_a_server_that_does_not_encrypt_gets_no_mail(
    make: Callable[..., Outbox], sessions: Sessions, clock: FakeClock, pool: asyncpg.Pool, post: PostOffice
) -> None:
    box = make(post, smtp_tls="starttls")
    await put(sessions, box, clock)
    async with running(box):
        await tried(pool, 1)

    assert post.tries == 0


# What is set.


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"public_url": None}, "METRICA_PUBLIC_URL"),
        ({"mail_from": ""}, "METRICA_MAIL_FROM"),
        ({"secret_key": None}, "METRICA_SECRET_KEY"),
        ({"smtp_user": "me"}, "go together"),
        ({"smtp_host": "mail.shop.example", "smtp_user": "me", "smtp_password": "secret"}, "as it is"),
        ({"mail_from": "Metrica"}, "is written as Metrica <"),
        ({"mail_from": "Metrica <a@b>\r\nBcc: c@d"}, "METRICA_MAIL_FROM"),
        ({"public_url": "counts.shop.example"}, "is written as https://"),
        ({"public_url": "https://me:secret@shop.example"}, "is written as https://"),
        ({"public_url": "javascript://shop.example"}, "is written as https://"),
        ({"public_url": "https://shop.example/#x"}, "is written as https://"),
        ({"smtp_port": 0}, "smtp_port"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(said: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ApiSettings.model_validate(BASE | mail_settings(PostOffice(25)) | said)


def test_empty_settings_are_none() -> None:
    names = (
        "public_url",
        "smtp_host",
        "smtp_port",
        "smtp_user",
        "smtp_password",
        "smtp_tls",
        "smtp_tls_ca",
        "mail_from",
    )
    settings = ApiSettings.model_validate(BASE | dict.fromkeys(names, ""))

    assert (settings.mails, settings.smtp_tls) == (False, "starttls")


@pytest.mark.parametrize(
    "name", ["Mara\r\nBcc: x@y", "Mara\u2028x", "x\x00y", "\u202ex", "https://evil.test", "evil.test"]
)
def test_a_name_begins_no_header_line_and_no_link(name: str) -> None:
    letter = messages.invitation(name, name, "viewer", f"{PUBLIC_URL}/account.html#invitation=t")
    written = messages.write(letter, "Metrica <a@b.test>", "c@d.test", uuid4(), MONDAY).as_bytes()
    headers, _, text = written.partition(b"\r\n\r\n")

    assert b"\nBcc" not in headers
    assert b"evil.test" not in written
    assert text.count(b"://") == 1
