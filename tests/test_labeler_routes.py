"""The labeler's routes over HTTP: files by content address, and requests that are not valid."""

import contextlib
import http.client
import sqlite3
from pathlib import Path

import pytest

from plusmv.core.workspace import Workspace
from tests.browser import (  # noqa: F401
    Labeler,
    copied_workspace,
    labeler_on_workspace,
    launched_browser,
    running_labeler,
    signed_in,
)
from tests.test_labeler import fill_workspace, judged

DIGITS = b"9" * 5000  # int() refuses more than 4,300
DEEP = b"[" * 100_000


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Workspace:
    """Forty clips of GolfSwing."""
    return fill_workspace(tmp_path_factory.mktemp("template"), clips=40, seconds=1.0)


def test_files_are_sent_by_content_address_and_only_here(labeler: Labeler, workspace: Workspace):
    media = next(path for path in (workspace.home / "media").rglob("*.mp4"))
    whole = media.read_bytes()
    shown = signed_in(labeler.port)
    part = get(labeler.port, f"/clips/{media.stem}", Range="bytes=10-29", **shown)
    assert (part.status, part.read()) == (206, whole[10:30])
    assert get(labeler.port, f"/clips/{media.stem}", **shown).read() == whole
    assert get(labeler.port, f"/stills/{media.stem}", **shown).read(3) == b"\xff\xd8\xff"
    for unknown in ("0" * 64, media.stem.upper(), media.stem[:-1], f"{media.stem}.mp4"):
        assert get(labeler.port, f"/clips/{unknown}", **shown).status == 404
    for climbing in ("..%2Fcatalog.db", "%2e%2e/catalog.db", "../../catalog.db", "%00", "..%2F..%2Fetc%2Fpasswd"):
        for folder in ("clips", "previews", "stills", "references/x"):
            assert get(labeler.port, f"/{folder}/{climbing}", **shown).read(6) not in (b"SQLite", b"root:x")
    table = Path("/proc/net/tcp")
    if table.exists():
        listening = [line.split()[1] for line in table.read_text().splitlines() if f":{labeler.port:04X} " in line]
        assert {address.partition(":")[0] for address in listening} == {"0100007F"}
        assert f":{labeler.port:04X} " not in Path("/proc/net/tcp6").read_text()


def test_a_picture_is_asked_for_by_a_small_number(labeler: Labeler, workspace: Workspace):
    folder = workspace.home / "references" / "GolfSwing"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(b"a")
    shown = signed_in(labeler.port)
    assert get(labeler.port, "/references/GolfSwing/0", **shown).read() == b"a"
    for odd in ("9" * 5000, "-1", "1", "1e0", "%D9%A0"):
        assert get(labeler.port, f"/references/GolfSwing/{odd}", **shown).status == 404, odd[:20]


def test_a_film_that_is_only_the_beginning_says_so(labeler: Labeler, workspace: Workspace):
    long, short = clips(workspace)[:2]
    with contextlib.closing(sqlite3.connect(workspace.catalog)) as catalog, catalog:
        catalog.execute("UPDATE clips SET duration = 75.2 WHERE sha256 = ?", (long,))
    shown = signed_in(labeler.port)
    said = {path: get(labeler.port, path, **shown).getheader("X-Plusmv-Shown-Seconds") for path in (
        f"/previews/{long}", f"/clips/{long}", f"/previews/{short}")}  # fmt: skip
    assert list(said.values()) == ["60/75", None, None]


def test_requests_that_are_none_get_a_reason(labeler: Labeler, workspace: Workspace):
    shown = signed_in(labeler.port)
    for body in (b"", b"[]", b"{", b"{}", b'{"entries": 1}'):
        answer = get(labeler.port, "/labeler/decisions", "POST", body, **shown)
        assert (answer.status, b"error" in answer.read()) == (400, True)
    assert get(labeler.port, "/labeler/work", "POST", b"{}" + b" " * (2 << 20), **shown).status == 400
    odd_work = (
        b'{"place": {"page": 1}}', b'{"place": {"action_id": []}}', b'{"place": {"second_id": "x"}}',
        b'{"count": NaN}', b'{"count": 1e999}', b'{"action": %d}' % 2**70, b'{"search": "\\ud800"}', DEEP,
        b'{"count": %s}' % DIGITS, b'{"place": {"second_id": %s}}' % DIGITS,
    )  # fmt: skip
    for odd in odd_work:
        assert get(labeler.port, "/labeler/work", "POST", odd, **shown).status == 400, odd
    assert (
        get(labeler.port, "/labeler/later", "POST", b'{"clip": 9999, "action": 1}', **shown).status == 409
    )  # taken down
    assert get(labeler.port, "/labeler/work", "POST", b'{"annotator": "bob"}', **shown).status == 403
    for id_ in (b"1e300", b"-1", b'"%s"' % DIGITS, b'"%s"' % DIGITS[:4000], DIGITS, b"[]"):
        for odd in (b'{"clip": %s, "action": 1}' % id_, b'{"clip": 1, "action": %s}' % id_):
            assert get(labeler.port, "/labeler/later", "POST", odd, **shown).status == 400, odd[:40]
    for odd in (b'{"entries": [1]}', b'{"entries": [{"id": "x"}]}'):
        answer = get(labeler.port, "/labeler/decisions", "POST", odd, **shown)
        assert (answer.status, b"refused" in answer.read()) == (200, True)
    assert judged(workspace) == []


def clips(workspace: Workspace) -> list[str]:
    return sorted(path.stem for path in (workspace.home / "media").rglob("*.mp4"))


def get(port: int, path: str, method: str = "GET", body: bytes | None = None, **headers: str):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, body, headers)
    return connection.getresponse()
