"""Keys and cookies: where they come from, and what is refused."""

import json
import os
import pickle
from pathlib import Path

import pytest

from plusmv.core.errors import BadInput
from plusmv.curate.sources.credentials import cookies_of_browser, cookies_of_file

COOKIES_TXT = (
    "# Netscape HTTP Cookie File\n.instagram.com\tTRUE\t/\tTRUE\t4102444800\tsessionid\ts\n"
    ".x.org\tTRUE\t/\tTRUE\t0\ta\tb\n"
)


def private(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    "content",
    [pickle.dumps({"sessionid": "s"}), json.dumps({"sessionid": "s"}).encode(), COOKIES_TXT.encode()],
    ids=["session of Instaloader", "JSON", "cookies.txt"],
)
def test_three_forms_of_a_session(tmp_path, content):
    assert cookies_of_file(private(tmp_path / "s", content), "instagram.com") == {"sessionid": "s"}


class Hostile:
    def __reduce__(self):
        return os.system, ("touch executed",)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\x80garbage", pickle.dumps({"a": Hostile()}), b"cookies\n"])
def test_what_is_no_session(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="holds no cookies of instagram"):
        cookies_of_file(private(tmp_path / "s", content), "instagram.com")
    assert not (tmp_path / "executed").exists()


def test_a_file_that_others_may_read(tmp_path):
    file = private(tmp_path / "s", b"{}")
    file.chmod(0o640)
    with pytest.raises(BadInput, match="run chmod 600"):
        cookies_of_file(file, "instagram.com")
    with pytest.raises(BadInput, match="cannot read"):
        cookies_of_file(tmp_path / "none", "instagram.com")


def test_browsers(tmp_path, monkeypatch):
    with pytest.raises(BadInput, match="known are"):
        cookies_of_browser("netscape", "instagram.com")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(BadInput, match="cookies of firefox"):
        cookies_of_browser("firefox", "instagram.com")
