"""Record cache: a record is used again only while it can be read and its files are whole."""

from tasks.pipeline.record_cache import cached_record, stored_record
from tasks.records.results import Archive
from tasks.storage import result_cache
from tasks.storage.files import erase, store


def make_archive(places, text: str = "content") -> Archive:
    file = store(lambda path: path.write_text(text), places, "data", "archives/some.zip")
    return Archive(file=file, bytes=len(text))


def test_a_record_is_made_once_and_again_when_a_file_is_lost_or_changed(places, capsys):
    made = []

    def make():
        made.append(make_archive(places))
        return made[-1]

    def ask(version: str = "1", key: str = "key"):
        return cached_record("archive", version, key, Archive, make, places)

    assert ask() == ask() == make_archive(places)
    assert len(made) == 1
    erase(made[0].file.path(places))
    assert ask().damage(places) is None
    assert len(made) == 2
    assert "archive: remembered, but" in capsys.readouterr().out
    made[0].file.path(places).write_text("other content")
    ask()
    assert len(made) == 3
    ask(version="2")
    ask(key="another")
    assert len(made) == 5


def test_what_is_no_record_of_this_kind_counts_as_missing(places):
    assert stored_record("archive", "1", "key", Archive, places) is None
    result_cache.write("archive", "1", {"key": b'{"bytes": 7}'}, places)
    assert stored_record("archive", "1", "key", Archive, places) is None
