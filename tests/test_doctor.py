"""Doctor: it reports what lies in the inbox, and one obstacle does not end the other checks."""

import errno
import os
import sys
from datetime import UTC, datetime

import pytest
from conftest import put_into_use, write_model_folder
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_KEY,
    PREFECT_API_URL,
    PREFECT_SERVER_API_AUTH_STRING,
    temporary_settings,
)

from flows import doctor
from tasks.images.decoding import SUFFIXES
from tasks.networks.gpu_signs import Machine
from tasks.settings.settings import ClassSettings, FetchSettings


def test_the_inbox_is_counted_with_what_is_left_out(places):
    inbox = places.data / "inbox"
    assert doctor.inbox(places) == f"none: {inbox}"
    (inbox / "line 1/ok_front").mkdir(parents=True)
    for name in ("1.jpeg", "2.JFIF", "3.gif", "Thumbs.db", "\udcff.png"):
        (inbox / "line 1/ok_front" / name).touch()
    assert doctor.inbox(places) == (
        f"3 images in {inbox}; left out: 1 files of other formats: 1 .gif (line 1/ok_front/3.gif); read are {SUFFIXES}"
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


@pytest.mark.usefixtures("tensorflow")
def test_a_gpu_is_looked_for_only_where_there_is_a_sign_of_one(monkeypatch):
    from tasks.networks import devices

    monkeypatch.setattr(doctor, "describe_gpus", lambda machine: f"{machine.cards} cards, and no driver")
    for machine, seen, expected in (
        (Machine(cards=2), "CPU", "2 cards, and no driver"),
        (Machine(), "CPU", "none: training runs on the processors (`make gpu` where there is one)"),
        (Machine(), "AMD", "AMD"),
    ):
        monkeypatch.setattr(devices, "device", lambda seen=seen: seen)
        monkeypatch.setattr(doctor, "look_at_machine", lambda machine=machine: machine)
        assert doctor.device() == expected


@pytest.mark.usefixtures("tensorflow", "process")
def test_one_screen_says_what_was_looked_at(registered, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(
        sys, "argv", ["doctor.py", "--artifacts", str(registered.artifacts), "--data", str(registered.data)]
    )
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        doctor.main()
    said = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines() if not line.startswith(" "))
    assert list(said) == [
        "machine", "versions", "GPU seen by TensorFlow", "data", "artifacts", "inbox", "model in use", "Prefect server",
        "Kaggle credentials",
    ]  # fmt: skip
    assert said["model in use"].strip() == "none yet: make retrain"
    assert said["Prefect server"].strip() == "none named by PREFECT_API_URL: each run starts its own for a while"
    put_into_use(write_model_folder("one", registered), registered)
    assert doctor.model(registered).startswith("version 1, ") and doctor.model(registered).endswith(", of recast")


def test_a_registry_that_is_lost_is_one_line_of_the_screen(places):
    (places.artifacts / "models/aa").mkdir(parents=True)
    assert "mlflow.db is missing" in doctor.model(places)


def test_a_prefect_server_that_is_silent_or_no_address_is_one_line_of_the_screen(monkeypatch):
    for address, told in (
        ("http://127.0.0.1:9/api", "does not answer"),
        ("http://host:port/api", "is no address of a server"),
    ):
        with temporary_settings({PREFECT_API_URL: address}):
            assert told in doctor.server()


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("Mon, 30 Nov 2026 12:00:09 GMT", []),
        ("Mon, 30 Nov 2026 10:00:00 GMT", ["7,200 s ahead of its: runs begin here early"]),
        ("Mon, 30 Nov 2026 12:01:00 GMT", ["60 s behind its: runs begin here late"]),
        ("", []),
        ("soon", []),
    ],
)
def test_a_clock_that_differs_from_the_server_s_is_told(told, expected):
    found = doctor.clock(told, datetime(2026, 11, 30, 12, tzinfo=UTC))
    assert len(found) == len(expected)
    assert all(one in said for one, said in zip(expected, found, strict=True))


def test_of_a_source_it_says_what_is_recognized_and_what_is_left_out(tmp_path, places, photograph):
    for name in ("crack/1.jpeg", "hole/1.jpeg", "fine/1.jpeg", "cover.jpeg"):
        (tmp_path / "plant" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "plant" / name).write_bytes(photograph(len(name)))
    source = str(tmp_path / "plant")
    assert "no folder holds images in just def_front/ and ok_front/" in doctor.source(
        FetchSettings(source=source), places
    )
    assert doctor.source(FetchSettings(source=source, classes=ClassSettings(good="fine")), places) == (
        "class folders; defect: crack (1), hole (1); good: fine (1); left out: 1 images without a label: the top folder (1)"
    )
