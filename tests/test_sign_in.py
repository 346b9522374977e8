"""Signing in to the labeler: by the one-time link or a password, sessions that end, and tries that are counted."""

import html
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from typing import Any
from urllib.parse import urlencode

import pytest

from plusmv.core.workspace import Workspace
from plusmv.curate.review import passwords
from plusmv.labeler_ui import link, sessions, sign_in
from plusmv.labeler_ui.tries import A_MINUTE, FREE, LONGEST_WAIT_S, Tries
from tests.conftest import ROOT
from tests.test_gate import NAVIGATION, OURS, Answer, ask, cookie, filled, served_workspace  # noqa: F401


def test_the_link_gets_in_once_and_the_next_one_is_printed(workspace, capsys, monkeypatch):
    monkeypatch.setattr(sign_in, "LINK", link.Link())
    assert ask("/labeler/open?token=").status == 403  # none is offered yet
    sign_in.LINK.offer(OURS, workspace.home / "labeler")
    first = printed(capsys)
    assert ask("/labeler/open?token=x").status == ask("/labeler/open").status == 403
    assert ask(first, Host="evil.example").status == 421
    assert ask(first, "HEAD").status == 403  # whoever looks whether a link works does not use it up
    opened = ask(first, Sec_Fetch_Site="cross-site", **NAVIGATION)
    given = opened.headers["set-cookie"]
    assert opened.status == 200 and "HttpOnly" in given and "samesite=strict" in given.lower()
    assert ask("/grid", Cookie=given.partition(";")[0]).text == "a page for ann"
    assert ask(first).status == 403
    second = printed(capsys)
    assert second != first and ask(second).status == 200


@pytest.mark.slow
def test_the_server_ends_with_its_command(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [sys.executable, "-m", "plusmv", "label", "--no-open", "--port", str(port), "--home", str(tmp_path / "home")]
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True) as label:
        assert any("/labeler/open?token=" in said for said in label.stdout)  # it serves
        label.terminate()
        assert label.wait(20) == 128 + signal.SIGTERM
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 1)


def test_the_browser_is_led_by_a_private_file(workspace, tmp_path, capsys, monkeypatch):
    program, told = tmp_path / "browser", tmp_path / "told"
    program.write_text(f'#!/bin/sh\necho "$@" > {told}.part && mv {told}.part {told}\n')
    program.chmod(0o700)
    monkeypatch.setenv("BROWSER", str(program))
    monkeypatch.setenv("PLUSMV_OPEN", "1")
    monkeypatch.setattr(sign_in, "LINK", link.Link())
    sign_in.LINK.offer(OURS, workspace.home / "labeler")
    file = workspace.home / "labeler" / link.OPENER
    assert file.stat().st_mode & 0o777 == 0o600
    until = time.monotonic() + 20
    while not told.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert told.read_text().strip() == file.as_uri()  # no token where other users can read it
    url = printed(capsys)
    assert html.unescape(re.search(r"url=([^\"]*)", file.read_text())[1]).endswith(url)
    assert ask(url).status == 200 and not file.exists()


def printed(capsys) -> str:
    """The path of the link that was printed last."""
    return re.findall(rf"{OURS}(/labeler/open\?token=\S+)", capsys.readouterr().out)[-1]


def test_where_there_is_no_catalog_the_link_stays_good_and_nothing_is_made(workspace, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sign_in, "LINK", link.Link())
    monkeypatch.setenv("PLUSMV_HOME", str(tmp_path / "none"))
    sign_in.LINK.offer(OURS, tmp_path / "none" / "labeler")
    url = printed(capsys)
    assert ask(url).status == 503 and not (tmp_path / "none").exists()
    monkeypatch.setenv("PLUSMV_HOME", str(workspace.home))
    assert ask(url).status == 200


def test_a_session_is_a_private_file_that_holds_no_token(workspace):
    token = cookie(workspace).partition("=")[2]
    files = list((workspace.home / "labeler").rglob("*.json"))
    assert files and all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert not any(token in file.read_text() + file.name for file in files)
    assert sessions.annotator_of(workspace, token, None) == "ann"
    for odd in ("", "../../catalog", files[0].stem, token[:-1], token + "x", "\ud800", "é"):
        assert sessions.annotator_of(workspace, odd, None) is None


def test_sessions_end_and_their_files_go(workspace, tmp_path):
    home = Workspace(tmp_path / "home")
    used = sessions.start(home, "ann", None)
    file = next((home.home / "labeler" / "sessions").iterdir())
    almost = time.time() - sessions.IDLE_S + 60
    os.utime(file, (almost, almost))
    assert sessions.annotator_of(home, used, None) == "ann"
    assert file.stat().st_mtime > almost + 60  # being used, it lasts
    os.utime(file, (almost - 120, almost - 120))
    assert sessions.annotator_of(home, used, None) is None
    old = sessions.start(home, "ann", None)
    (other,) = (home.home / "labeler" / "sessions").iterdir()  # the first is gone
    other.write_text(json.dumps(json.loads(other.read_text()) | {"made": time.time() - sessions.LONGEST_S - 1}))
    assert sessions.annotator_of(home, old, None) is None
    for broken in ("", "[]", "{}", '{"made": "x"}', "[" * 100_000):
        other.write_text(broken)
        assert sessions.annotator_of(home, old, None) is None


def test_who_signs_out_is_out(workspace):
    shown = cookie(workspace)
    out = ask("/labeler/sign-out", "POST", Origin=OURS, Cookie=shown)
    assert out.status == 200 and "Max-Age=0" in out.headers["set-cookie"]
    assert ask("/grid", Cookie=shown).status == 403


def post(name: str, password: str = "", to: str = "/", **headers: Any) -> Answer:
    body = urlencode({"name": name, "password": password, "to": to}).encode()
    return ask("/labeler/sign-in", "POST", body, **({"Origin": OURS} | headers))


def test_without_passwords_who_is_in_may_take_another_name_and_nobody_else(workspace):
    shown = cookie(workspace)
    assert post("bob").status == 403
    switched = post("<b>bob</b>", to="/grid", Cookie=shown)
    assert (switched.status, switched.headers["location"]) == (303, "/grid")
    assert ask("/grid", Cookie=switched.headers["set-cookie"].partition(";")[0]).text == "a page for <b>bob</b>"
    assert ask("/grid", Cookie=shown).status == 403
    named = ask("/labeler/sign-in", Cookie=cookie(workspace, "<b>bob</b>")).text
    assert "&lt;b&gt;bob" in named and "<b>bob" not in named


@pytest.fixture
def people(workspace, tmp_path, monkeypatch):
    """Ann and Bob have passwords."""
    file = tmp_path / "passwords"
    passwords.set_password(file, "ann", "long ago")
    passwords.set_password(file, "bob", "far away")
    monkeypatch.setenv("PLUSMV_PASSWORDS", str(file))
    return file


def test_with_passwords_only_those_in_the_file_get_in(workspace, people, capsys, monkeypatch):
    assert post("ann", "far away").status == post("cat", "long ago").status == 403
    assert post("ann", "short").status == post("", "long ago").status == 400
    entered = post("ann", "long ago", to="//evil.example/")
    assert (entered.status, entered.headers["location"]) == (303, "/")
    shown = entered.headers["set-cookie"].partition(";")[0]
    assert ask("/grid", Cookie=shown).text == "a page for ann"
    assert "ecure" not in entered.headers["set-cookie"]
    monkeypatch.setenv("PLUSMV_ALLOW_HOST", "labeler.example")
    encrypted = post("ann", "long ago", Host="labeler.example", Origin="https://labeler.example")
    assert "Secure" in encrypted.headers["set-cookie"]
    assert ask("/labeler/open?token=x").status == 303  # no link goes around them


def test_a_session_ends_with_the_password_it_was_started_with(workspace, people, monkeypatch):
    shown, other = cookie(workspace, "ann"), cookie(workspace, "bob")
    passwords.set_password(people, "ann", "long since")
    assert ask("/grid", Cookie=shown).status == 403
    assert ask("/grid", Cookie=other).text == "a page for bob"
    people.write_text("".join(line for line in people.open() if not line.startswith("bob:")))
    assert ask("/grid", Cookie=other).status == 403
    assert ask("/grid", Cookie=cookie(workspace, "bob")).status == 403
    monkeypatch.delenv("PLUSMV_PASSWORDS")
    without = cookie(workspace, "ann")
    assert ask("/grid", Cookie=without).status == 200
    monkeypatch.setenv("PLUSMV_PASSWORDS", str(people))
    assert ask("/grid", Cookie=without).status == 403
    people.chmod(0o644)
    assert ask("/grid", Cookie=shown).status == 503


def test_a_name_waits_after_five_wrong_passwords(workspace, people):
    for _ in range(FREE):
        assert post("ann", "far away").status == 403
    slowed = post("ann", "long ago")
    assert slowed.status == 429 and int(slowed.headers["retry-after"]) > 0
    assert post("bob", "far away").status == 303


def test_waits_grow_and_end_and_the_right_password_ends_them():
    now = [0.0]
    tries = Tries(lambda: now[0])
    waits = []
    for _ in range(12):
        waits.append(tries.begin("ann"))
        now[0] += waits[-1]
        if waits[-1]:
            assert tries.begin("ann") == 0.0
    assert waits[:FREE] == [0.0] * FREE and waits[FREE:] == sorted(waits[FREE:]) and waits[FREE] > 0
    assert max(waits) == LONGEST_WAIT_S
    tries.right("ann")
    assert tries.begin("ann") == 0.0


def test_all_names_together_have_sixty_tries_a_minute():
    now = [0.0]
    tries = Tries(lambda: now[0])
    assert [tries.begin(str(each)) for each in range(A_MINUTE)] == [0.0] * A_MINUTE
    assert tries.begin("ann") == 60.0
    now[0] = 61.0
    assert tries.begin("ann") == 0.0


@pytest.mark.parametrize("body", [b"\xff=\x00", b"&" * 10_000, b"name=" + b"x" * 20_000, b"=;=;", b"name=a%0Ab"])
def test_a_form_that_is_none_gets_a_reason(workspace, people, body):
    assert ask("/labeler/sign-in", "POST", body, Origin=OURS).status == 400
