"""Locks between processes: a second command is refused by name, a change waits, and a killed process holds nothing."""

import contextlib
import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from plusmv.core.errors import PlusmvError, Refused
from plusmv.core.locks import one_change, one_command
from plusmv.curate.review.passwords import people, set_password

HOLD = (
    "import sys, time\nfrom pathlib import Path\nfrom plusmv.core.locks import one_change, one_command\n"
    "with {lock}:\n    print('in', flush=True)\n    time.sleep(600)"
)


@contextlib.contextmanager
def held(lock: str, folder: Path) -> Iterator[subprocess.Popen]:
    """Another process that holds a lock on a folder."""
    command = [sys.executable, "-c", HOLD.format(lock=lock), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None and other.stdout.readline() == "in\n"
            yield other
        finally:
            other.kill()


def test_a_second_command_is_refused_by_the_name_of_the_first_and_a_killed_one_holds_nothing(tmp_path):
    with held("one_command(Path(sys.argv[1]), 'a long training')", tmp_path) as other:
        with pytest.raises(Refused, match="a long training"), one_command(tmp_path, "another"):
            pass
        with one_change(tmp_path):  # a command's lock is none on the folder's files
            pass
        other.kill()
        other.wait()
        with one_command(tmp_path, "another"):
            pass


def test_a_change_waits_and_says_so_when_it_takes_too_long(tmp_path):
    with held("one_change(Path(sys.argv[1]))", tmp_path) as other:
        with pytest.raises(PlusmvError), one_change(tmp_path, seconds=0.05):
            pass
        with one_change(tmp_path, of="a file in it"):
            pass
        other.kill()
        other.wait()
        with one_change(tmp_path):
            pass


def _count(folder: Path, times: int) -> None:
    for _ in range(times):
        with one_change(folder):
            counted = int((folder / "count").read_text())
            (folder / "count").write_text(str(counted + 1))


def test_no_change_is_lost_between_processes(tmp_path):
    (tmp_path / "count").write_text("0")
    processes = [multiprocessing.get_context("fork").Process(target=_count, args=(tmp_path, 40)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert (tmp_path / "count").read_text() == "120"


def _set_password(file: Path, names: list[str]) -> None:
    for name in names:
        set_password(file, name, "far, far away")


def test_people_who_set_their_passwords_at_once_can_all_sign_in(tmp_path):
    names = [["ann", "bob"], ["cat", "dan"]]
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=_set_password, args=(tmp_path / "passwords", some)) for some in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert set(people(tmp_path / "passwords")) == {"ann", "bob", "cat", "dan"}


def test_lock_files_are_hidden(tmp_path):
    with one_command(tmp_path, "one"), one_change(tmp_path), one_change(tmp_path, of="people"):
        pass
    assert all(path.name.startswith(".") for path in tmp_path.iterdir())
