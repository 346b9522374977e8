"""The labeler's routes over HTTP: files by content address, and requests that are not valid."""

import http.client
from pathlib import Path

import pytest

from plusmv.core.workspace import Workspace
from plusmv.labeler_ui import access
from tests.browser import Labeler, copied_workspace, labeler_on_workspace, launched_browser, running_labeler  # noqa: F401
from tests.test_labeler import fill_workspace, judged


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Workspace:
    """Forty clips of GolfSwing."""
    return fill_workspace(tmp_path_factory.mktemp("template"), clips=40, seconds=1.0)


def test_files_are_sent_by_content_address_to_the_page_alone_and_only_here(labeler: Labeler, workspace: Workspace):
    media = next(path for path in (workspace.home / "media").rglob("*.mp4"))
    whole = media.read_bytes()
    cookie = f"{access.cookie_name(workspace)}={access.session_token(workspace, 'ann')}"
    part = get(labeler.port, f"/clips/{media.stem}", Range="bytes=10-29", Cookie=cookie)
    assert (part.status, part.read()) == (206, whole[10:30])
    assert get(labeler.port, f"/clips/{media.stem}", Cookie=cookie).read() == whole
    assert get(labeler.port, f"/stills/{media.stem}", Cookie=cookie).read(3) == b"\xff\xd8\xff"
    assert get(labeler.port, f"/clips/{media.stem}").status == 403
    assert get(labeler.port, f"/clips/{media.stem}", Cookie=cookie[:-1]).status == 403
    for unknown in ("0" * 64, media.stem.upper(), media.stem[:-1], f"{media.stem}.mp4"):
        assert get(labeler.port, f"/clips/{unknown}", Cookie=cookie).status == 404
    for climbing in ("..%2Fcatalog.db", "%2e%2e/catalog.db", "../../catalog.db", "%00", "..%2F..%2Fetc%2Fpasswd"):
        for folder in ("clips", "previews", "stills", "references/x"):
            assert get(labeler.port, f"/{folder}/{climbing}", Cookie=cookie).read(6) not in (b"SQLite", b"root:x")
    for path in ("decisions", "work", "later"):
        assert (
            get(labeler.port, f"/labeler/{path}", "POST", Cookie=cookie).status == 403
        )  # the cookie alone decides nothing
    table = Path("/proc/net/tcp")
    if table.exists():
        listening = [line.split()[1] for line in table.read_text().splitlines() if f":{labeler.port:04X} " in line]
        assert {address.partition(":")[0] for address in listening} == {"0100007F"}
        assert f":{labeler.port:04X} " not in Path("/proc/net/tcp6").read_text()


def test_requests_that_are_none_get_a_reason(labeler: Labeler, workspace: Workspace):
    shown = {access.HEADER: access.session_token(workspace, "ann")}
    for body in (b"", b"[]", b"{", b"{}", b'{"entries": 1}'):
        answer = get(labeler.port, "/labeler/decisions", "POST", body, **shown)
        assert (answer.status, b"error" in answer.read()) == (400, True)
    assert get(labeler.port, "/labeler/work", "POST", b"{}" + b" " * (2 << 20), **shown).status == 400
    odd_work = (
        b'{"place": {"page": 1}}', b'{"place": {"action_id": []}}', b'{"place": {"second_id": "x"}}',
        b'{"count": NaN}', b'{"count": 1e999}', b'{"action": %d}' % 2**70, b'{"search": "\\ud800"}',
    )  # fmt: skip
    for odd in odd_work:
        assert get(labeler.port, "/labeler/work", "POST", odd, **shown).status == 400, odd
    assert (
        get(labeler.port, "/labeler/later", "POST", b'{"clip": 9999, "action": 1}', **shown).status == 409
    )  # taken down
    for odd in (b'{"entries": [1]}', b'{"entries": [{"id": "x"}]}'):
        answer = get(labeler.port, "/labeler/decisions", "POST", odd, **shown)
        assert (answer.status, b"refused" in answer.read()) == (200, True)
    assert judged(workspace) == []


def get(port: int, path: str, method: str = "GET", body: bytes | None = None, **headers: str):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, body, headers)
    return connection.getresponse()
