"""Opening a catalog: schema, pragmas, isolation, and clear words for what cannot be opened."""

import multiprocessing
import re
import shutil
import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from plusmv.core.errors import BadInput, PlusmvError
from plusmv.core.workspace import Workspace
from plusmv.db import migrate
from plusmv.db.models import Clip, FileState, Post, Tombstone
from plusmv.db.session import open_catalog

pytestmark = pytest.mark.postgres


def a_clip(sha256: str = "0" * 64) -> Clip:
    return Clip(sha256=sha256, suffix=".mp4", bytes=1, state=FileState.DONE)


def test_migrations_make_exactly_the_models(catalog):
    assert migrate.drift(catalog.engine) == []


def test_downgrade_and_upgrade_again(catalog):
    migrate.downgrade(catalog.engine)
    with catalog.engine.connect() as connection:
        assert not catalog.engine.dialect.has_table(connection, "clips")
    migrate.upgrade(catalog.engine)
    assert migrate.drift(catalog.engine) == []


def test_rows_survive_reopening(tmp_path):
    workspace = Workspace(tmp_path)
    with open_catalog(workspace).writing() as session:
        session.add(a_clip())
    with open_catalog(workspace).reading() as session:
        assert session.scalar(select(func.count()).select_from(Clip)) == 1


def test_sqlite_is_durable_and_checks_references(tmp_path):
    with open_catalog(Workspace(tmp_path)).reading() as session:
        pragmas = [session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "foreign_keys", "busy_timeout")]
    assert pragmas == ["wal", 1, 30_000]


def test_a_post_of_no_clip_is_refused(catalog):
    with pytest.raises(IntegrityError), catalog.writing() as session:
        session.add(Post(platform="p", platform_id="1", clip_id=404))


def test_an_error_rolls_everything_back(catalog):
    with pytest.raises(RuntimeError), catalog.writing() as session:
        session.add(a_clip())
        session.flush()
        raise RuntimeError("killed here")
    with catalog.reading() as session:
        assert session.scalar(select(func.count()).select_from(Clip)) == 0


def test_times_come_back_aware_and_equal(catalog):
    moment = datetime(2019, 10, 27, 9, 0, tzinfo=timezone(timedelta(hours=9)))
    with catalog.writing() as session:
        session.add(Tombstone(kind="url", keyed_hash="k", buried_at=moment))
    with catalog.reading() as session:
        read = session.scalar(select(Tombstone.buried_at))
    assert read == moment
    assert read.tzinfo == UTC


def test_naive_times_are_refused(catalog):
    with pytest.raises(StatementError, match="naive"), catalog.writing() as session:
        session.add(Tombstone(kind="url", keyed_hash="k", buried_at=datetime(2019, 10, 27)))


def test_writers_take_turns_and_lose_nothing(tmp_path):
    """Read, then write, in eight threads at once: the pattern that fails with 'database is locked' in deferred mode."""
    catalog = open_catalog(Workspace(tmp_path))

    def write(worker: int) -> None:
        for index in range(10):
            with catalog.writing() as session:
                session.scalar(select(func.count()).select_from(Clip))
                session.add(a_clip(f"{worker * 10 + index:064x}"))

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with catalog.reading() as session:
        assert session.scalar(select(func.count()).select_from(Clip)) == 80


def _open(home: str, failures) -> None:
    try:
        open_catalog(Workspace(home)).close()
    except Exception as error:
        failures.put(repr(error))


def test_two_processes_may_make_one_catalog_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    failures = context.Queue()
    openers = [context.Process(target=_open, args=(tmp_path / "home", failures)) for _ in range(4)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join()
    assert failures.empty()
    assert [opener.exitcode for opener in openers] == [0] * 4


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("no url at all", "cannot use the catalog URL"),
        ("mysql+nothing://h/d", "cannot use the catalog URL"),
        (f"postgresql://me:secret@h:{'9' * 5000}/d", "cannot use the catalog URL"),
        ("postgresql://me:secret@127.0.0.1:9/none", "cannot open the catalog"),
    ],
)
def test_urls_that_cannot_be_opened_are_named_without_the_password(tmp_path, url, words):
    with pytest.raises(BadInput, match=words) as caught:
        open_catalog(Workspace(tmp_path), url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_catalog(tmp_path):
    workspace = Workspace(tmp_path)
    workspace.catalog.write_bytes(b"not a database, but long enough to have a header" * 100)
    with pytest.raises(BadInput, match="not a database"):
        open_catalog(workspace)


def test_a_catalog_damaged_further_in_is_one_line(tmp_path):
    workspace = Workspace(tmp_path / "home")
    catalog = open_catalog(workspace)
    with catalog.reading() as session:
        page = session.scalar(text("SELECT rootpage FROM sqlite_master WHERE name = 'clips'"))
    catalog.close()
    with open(workspace.catalog, "r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(PlusmvError, match="malformed") as caught, open_catalog(workspace).reading() as session:
        session.scalars(select(Clip)).all()
    assert "\n" not in str(caught.value)


def test_a_catalog_of_a_newer_version_is_left_alone(tmp_path):
    workspace = Workspace(tmp_path)
    with open_catalog(workspace).writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(PlusmvError, match="newer plusmv"):
        open_catalog(workspace)


@pytest.mark.parametrize("name", ["media/ab/clip.mp4", "previews/ab/clip.mp4", "features/clip.safetensors"])
def test_an_empty_catalog_beside_clips_is_not_a_new_one(tmp_path, name):
    (tmp_path / "catalog.db").touch()
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_bytes(b"x")
    for url in (None, f"sqlite:///{tmp_path / 'catalog.db'}"):
        with pytest.raises(BadInput):
            open_catalog(Workspace(tmp_path), url)
    assert (tmp_path / "catalog.db").stat().st_size in (0, 4096)  # no tables
    (tmp_path / "catalog.db").unlink()
    open_catalog(Workspace(tmp_path)).close()


def test_an_empty_catalog_alone_is_a_new_one(tmp_path):
    (tmp_path / "catalog.db").touch()
    with open_catalog(Workspace(tmp_path)).reading() as session:
        assert session.scalar(select(func.count()).select_from(Clip)) == 0


def test_a_damaged_catalog_is_one_line(tmp_path, migrated):
    """Cut anywhere, overwritten, or of another kind: our own error, at opening or at the first row."""
    catalog = Workspace(tmp_path).catalog
    shutil.copy(migrated / "catalog.db", catalog)
    opened = open_catalog(Workspace(tmp_path))
    with opened.writing() as session:
        session.add_all([a_clip(f"{number:064x}") for number in range(50)])
    opened.close()
    whole = catalog.read_bytes()
    table = whole.index(b"CREATE TABLE clips")
    damaged = [whole[:count] for count in (1, 100, 4096, len(whole) // 2, len(whole) - 4096)]
    damaged += [b"words\n" * 1000, bytes(len(whole)), whole[:table] + b"\xff" * 40 + whole[table + 40 :]]
    damaged += [whole.replace(b"done", b"d\0ne"), re.sub(rb"(20\d\d-\d\d)-(\d\d \d\d:)", rb"\1?\2", whole)]
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "clip").write_bytes(b"x")
    for content in damaged:
        for file in tmp_path.glob("catalog.db*"):
            file.unlink()
        catalog.write_bytes(content)
        with pytest.raises(PlusmvError) as caught, open_catalog(Workspace(tmp_path)).reading() as session:
            list(session.scalars(select(Clip)))
        assert "\n" not in str(caught.value)
