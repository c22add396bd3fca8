"""A sealed text is read by who has the secret key, and by nobody else."""

from __future__ import annotations

import pytest

from services.kit.vault import CannotOpen, Vault, is_sealed

OLD, NEW = "the first secret key of all", "the second that took its place"
SECRET = "rtsp://user:password@camera/1"


def test_who_has_the_key_reads_it() -> None:
    sealed = Vault(OLD).seal(SECRET)

    assert is_sealed(sealed)
    assert "password" not in sealed
    assert Vault(OLD).open(sealed) == SECRET


def test_what_is_not_sealed_is_left_alone() -> None:
    assert Vault(None).open("sim://door") == Vault(OLD).open("sim://door") == "sim://door"


def test_a_new_key_before_the_old_one_seals_and_both_open() -> None:
    of_old, both = Vault(OLD).seal(SECRET), Vault(f"{NEW}, {OLD}")

    assert both.open(of_old) == SECRET
    assert Vault(NEW).open(both.seal(SECRET)) == SECRET


@pytest.mark.parametrize(
    ("vault", "says"), [(Vault(NEW), "another METRICA_SECRET_KEY"), (Vault(None), "METRICA_SECRET_KEY is not set")]
)
def test_who_has_it_not_is_told_what_to_do(vault: Vault, says: str) -> None:
    with pytest.raises(CannotOpen, match=says):
        vault.open(Vault(OLD).seal(SECRET))


def test_what_was_changed_on_the_way_is_not_opened() -> None:
    sealed = Vault(OLD).seal(SECRET)
    with pytest.raises(CannotOpen):
        Vault(OLD).open(sealed[:-2] + "AA")


def test_without_a_key_nothing_is_sealed_and_nothing_kept_in_the_clear() -> None:
    assert not Vault("").usable
    with pytest.raises(CannotOpen, match="kept only sealed"):
        Vault(None).seal(SECRET)


def test_a_key_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter than 20 characters"):
        Vault("hunter2")
