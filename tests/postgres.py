"""A throw-away PostgreSQL cluster on loopback for tests: made in a temporary folder, gone afterwards."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from plusmv.db.models import Base
from plusmv.db.session import Catalog


def server_programs() -> Path:
    """The folder of initdb and pg_ctl; skips where no server is installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    found = [folder for folder in folders if (folder / "initdb").exists()]
    if found:
        return found[-1]
    initdb = shutil.which("initdb")
    if initdb is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
    return Path(initdb).parent


@contextlib.contextmanager
def throw_away_cluster() -> Iterator[str]:
    """Start a cluster; yields the URL of its database."""
    programs = server_programs()
    folder = Path(tempfile.mkdtemp(prefix="plusmv-pg-"))
    owner = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        try:
            entry = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root and there is no user postgres")
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        owner = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": "/"}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(*arguments: str) -> None:
        done = subprocess.run(arguments, **owner, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=120)  # fmt: skip
        assert done.returncode == 0, done.stdout.decode(errors="replace")

    data = str(folder / "data")
    try:
        run(str(programs / "initdb"), "-D", data, "-U", "plusmv", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        run(str(programs / "pg_ctl"), "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
        yield f"postgresql://plusmv@127.0.0.1:{port}/postgres"
    finally:
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            run(str(programs / "pg_ctl"), "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def empty(catalog: Catalog) -> None:
    """Delete every row and start the ids at 1 again: 80 ms, where a new schema takes a second."""
    tables = ", ".join(f'"{table.name}"' for table in Base.metadata.sorted_tables)
    with catalog.engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
