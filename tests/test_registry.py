"""Registry: versions count up, are never written twice, and the champion is one of them, whole."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.runs import registry
from tasks.runs.errors import BadInput


def promoted(places, *models):
    return [registry.promote(model, f"run of {model}", "it is good", places) for model in models]


def test_before_the_first_promotion_nothing_is_in_use(places):
    assert registry.champion(places) is None
    assert not places.artifacts.exists()


def test_the_newest_version_is_the_champion_and_knows_the_one_before(places):
    first, second = promoted(places, "aa", "bb")
    assert (first.number, first.champion_before) == (1, None)
    assert (second.number, second.champion_before) == (2, 1)
    assert registry.champion(places) == second
    assert registry.version(1, places) == first


def test_a_version_that_is_not_there_is_told_with_those_that_are(places):
    with pytest.raises(BadInput, match="no version 1 in .*: there is none yet"):
        registry.version(1, places)
    promoted(places, "aa", "bb")
    with pytest.raises(BadInput, match="no version 7 in .*: there are 1, 2"):
        registry.version(7, places)


def test_two_runs_that_promote_at_once_get_versions_of_their_own(places):
    names = [f"{number:02}" for number in range(16)]
    with ThreadPoolExecutor(max_workers=8) as pool:

        def promote(name: str) -> registry.Version:
            with registry.deciding(places):
                return promoted(places, name)[0]

        made = list(pool.map(promote, names))
    assert sorted(version.number for version in made) == list(range(1, 17))
    assert [registry.version(version.number, places).model for version in made] == names
    assert registry.champion(places).number == 16, "the last one to promote is in use"


def test_a_crash_between_version_and_champion_leaves_the_old_champion(places, monkeypatch):
    (first,) = promoted(places, "aa")

    write_whole = registry.write_whole

    def crash(target: Path, content: bytes) -> None:
        if target.name == "champion":
            raise KeyboardInterrupt
        write_whole(target, content)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(registry, "write_whole", crash)
        promoted(places, "bb")
    assert registry.champion(places) == first
    (next_one,) = promoted(places, "bb")
    assert (next_one.number, next_one.champion_before) == (3, 1)
    assert registry.champion(places) == next_one


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_crash_at_any_moment_leaves_a_champion_that_can_be_read(places, monkeypatch, moment):
    (first,) = promoted(places, "aa")

    def crash(*_: object) -> None:
        raise OSError("the power went off")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="power"):
        patched.setattr(os, moment, crash)
        promoted(places, "bb")
    assert registry.champion(places) == first
    left = {path.name for path in registry.registry(places).rglob("*")}
    assert left - {"versions", "champion", "1.json", "2.json"} == set()
