"""Doctor: what lies in the inbox is told, and one thing that is in the way ends no other."""

import errno
import os

from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_KEY,
    PREFECT_API_URL,
    PREFECT_SERVER_API_AUTH_STRING,
    temporary_settings,
)

from flows import doctor


def test_the_inbox_is_counted_with_what_is_left_out(places):
    inbox = places.data / "inbox"
    assert doctor.inbox(places) == f"none: {inbox}"
    (inbox / "line 1/ok_front").mkdir(parents=True)
    for name in ("1.jpeg", "2.JFIF", "3.bmp", "Thumbs.db", "\udcff.png"):
        (inbox / "line 1/ok_front" / name).touch()
    assert doctor.inbox(places) == (
        f"3 images in {inbox}; left out: 1 files of other formats: 1 .bmp (line 1/ok_front/3.bmp); "
        "read are .jfif, .jpe, .jpeg, .jpg, .png"
    )


def test_an_inbox_that_may_not_be_read_is_one_line_of_the_screen(places, monkeypatch):
    (places.data / "inbox").mkdir(parents=True)

    def refusing(path):
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert "inbox cannot be read (Permission denied)" in doctor.inbox(places)


def test_a_password_file_that_cannot_be_used_is_one_line_of_the_screen(monkeypatch, tmp_path):
    monkeypatch.setenv("RECAST_AUTH_FILE", str(tmp_path))
    unset = (PREFECT_API_URL, PREFECT_API_AUTH_STRING, PREFECT_API_KEY, PREFECT_SERVER_API_AUTH_STRING)
    with temporary_settings(restore_defaults=unset):
        assert doctor.server().startswith(f"the password file {tmp_path} cannot be used (Is a directory): ")
