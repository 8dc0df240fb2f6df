"""People: who may approve has a password of their own, and guessing it takes for ever."""

import stat

import pytest

from tasks.review.people import FREE_TRIES, Throttle, approvers_file, is_name, may_approve, set_approver
from tasks.settings.errors import BadInput


def test_a_person_approves_by_their_own_password_alone(places):
    set_approver("anna", "correct horse", places)
    set_approver("ben", "battery staple", places)
    assert may_approve("anna", "correct horse", places) and may_approve("ben", "battery staple", places)
    for name, password in [("anna", "battery staple"), ("anna", ""), ("cleo", "correct horse"), ("", "")]:
        assert not may_approve(name, password, places)
    set_approver("anna", "another password", places)
    assert not may_approve("anna", "correct horse", places) and may_approve("anna", "another password", places)


def test_passwords_are_stored_as_hashes_that_nobody_else_can_read(places):
    set_approver("anna", "correct horse", places)
    file = approvers_file(places)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "correct horse" not in file.read_text() and "scrypt" in file.read_text()
    file.chmod(0o644)
    with pytest.raises(BadInput, match="can be read by others"):
        may_approve("anna", "correct horse", places)


@pytest.mark.parametrize(("name", "password"), [("anna", "short"), ("", "long enough"), ("a\nb", "long enough")])
def test_what_is_no_name_or_no_password_is_refused(places, name, password):
    with pytest.raises(BadInput):
        set_approver(name, password, places)
    assert not approvers_file(places).exists()


def test_each_wrong_password_after_five_costs_twice_the_wait():
    now = [0.0]
    throttle = Throttle(clock=lambda: now[0])
    looked_at = 0
    for _ in range(1_000):
        looked_at += not throttle.start_try("anna")
        now[0] += 0.1
    assert looked_at < 15
    assert throttle.start_try("ben") == 0, "nobody else waits"
    now[0] += 10_000
    assert throttle.start_try("anna") == 0
    throttle.end_waiting("anna")
    assert [throttle.start_try("anna") for _ in range(FREE_TRIES)] == [0] * FREE_TRIES
    assert throttle.start_try("anna") > 0


@pytest.mark.parametrize(
    ("name", "usable"), [("anna", True), ("Zoë 7", True), (" anna", False), ("a\tb", False), ("x" * 61, False)]
)
def test_a_name_is_printable_and_short(name, usable):
    assert is_name(name) is usable
