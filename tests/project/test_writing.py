"""Writing: whole or not at all, by descriptors, with all that is not text kept."""

import os
import stat
from pathlib import Path

import pytest

from cleanroom.project import write
from cleanroom.project.write import ChangedError, write_atomically


def test_a_link_that_takes_the_place_of_the_file_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, secret = tmp_path / "Dockerfile", tmp_path / "secret"
    file.write_text("FROM a\n")
    secret.write_text("mine\n")
    status = write._Folder.status

    def swap(folder: write._Folder, name: str) -> os.stat_result | None:
        found = status(folder, name)
        file.unlink()
        file.symlink_to(secret)
        return found

    monkeypatch.setattr(write._Folder, "status", swap)
    with pytest.raises(OSError, match="Dockerfile"):
        write_atomically(file, "FROM b\n", over=b"FROM a\n")
    assert secret.read_text() == "mine\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Dockerfile", "secret"]


def test_mode_and_owner_are_kept_setuid_too(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text("FROM a\n")
    if os.geteuid() == 0:
        os.chown(file, 12345, 12345)
    file.chmod(0o4750)
    write_atomically(file, "FROM b\n")
    status = file.stat()
    assert stat.S_IMODE(status.st_mode) == 0o4750
    assert os.geteuid() != 0 or (status.st_uid, status.st_gid) == (12345, 12345)


def test_who_cannot_give_it_away_makes_no_setuid_file_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    file = tmp_path / "Dockerfile"
    file.write_text("FROM a\n")
    file.chmod(0o6755)
    monkeypatch.setattr(os, "fchown", refuse)
    write_atomically(file, "FROM b\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o755


def test_hard_links_stay_one_file(tmp_path: Path) -> None:
    file, other = tmp_path / "Dockerfile", tmp_path / "other"
    file.write_text("FROM a_longer_text\n")
    other.hardlink_to(file)
    write_atomically(file, "FROM b\n", over=b"FROM a_longer_text\n")
    assert other.read_text() == "FROM b\n"
    assert file.samefile(other)


def test_extended_attributes_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text("FROM a\n")
    try:
        os.setxattr(file, "user.note", b"kept")
    except OSError:
        pytest.skip("a file system without extended attributes")
    write_atomically(file, "FROM b\n")
    assert os.getxattr(file, "user.note") == b"kept"


def test_an_attribute_that_cannot_be_kept_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "no")

    file = tmp_path / "Dockerfile"
    file.write_text("FROM a\n")
    monkeypatch.setattr(os, "listxattr", lambda _: ["user.note"])
    monkeypatch.setattr(os, "getxattr", refuse)
    with pytest.raises(OSError, match=r"its extended attribute user\.note cannot be kept"):
        write_atomically(file, "FROM b\n")
    assert (file.read_text(), len(list(tmp_path.iterdir()))) == ("FROM a\n", 1)


def test_names_near_the_longest(tmp_path: Path) -> None:
    file = tmp_path / f"{'x' * 244}.Dockerfile"
    file.write_text("FROM a\n")
    write_atomically(file, "FROM b\n")
    assert file.read_text() == "FROM b\n"


@pytest.mark.parametrize("held", [b"FROM c\n", None])
def test_what_changed_meanwhile_is_left(tmp_path: Path, held: bytes | None) -> None:
    file = tmp_path / "Dockerfile"
    if held is not None:
        file.write_bytes(held)
    with pytest.raises(ChangedError):
        write_atomically(file, "FROM b\n", over=b"FROM a\n")
    assert (file.read_bytes() if file.exists() else None) == held


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    file, link = tmp_path / "real", tmp_path / "Dockerfile"
    file.write_text("FROM a\n")
    link.symlink_to("real")
    write_atomically(link, "FROM b\n", over=b"FROM a\n")
    assert link.is_symlink()
    assert file.read_text() == "FROM b\n"
