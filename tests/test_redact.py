"""Raw metadata: what names people, ids and links goes; the rest is bounded."""

import json

from plusmv.curate.sources.redact import redact_personal_data


def test_names_ids_and_links_go():
    said = {
        "id": "31", "pk": 3, "shortcode": "Cx", "owner": {"id": "42"}, "user": {"full_name": "A"}, "uploader_id": "u",
        "channel": "c", "taken_at": 1, "video_url": "https://cdn/x?sig=1", "dimensions": {"width": 9, "user_name": "x"},
        "edge_media_to_tagged_user": {"edges": [{"node": {"x": 1}}]}, "usertags": [1], "location": {"lat": 1.0},
        "note": "ask @somebody", "kind": "reel", "has_audio": False, "tags": ["golf", "https://x", "swing"],
        "top_likers": ["a"], "accessibility_caption": "a person", "csrf_token": "t",
    }  # fmt: skip
    assert redact_personal_data(said) == {
        "taken_at": 1, "dimensions": {"width": 9}, "kind": "reel", "has_audio": False, "tags": ["golf", "swing"],
    }  # fmt: skip


def test_it_is_bounded_and_can_be_stored():
    deep: dict = {}
    for _ in range(50):
        deep = {"a": deep, "b": 1}
    said = {"deep": deep, "long": "x" * 10_000, "many": list(range(10_000)), "big": 1 << 80, "nan": float("nan"),
            "text": "a\x00b\ud800", "k" * 1000: 1, "flag\x1b": True}  # fmt: skip
    kept = redact_personal_data(said)
    assert len(json.dumps(kept)) < 2000
    assert "nan" not in kept
    json.dumps(kept, allow_nan=False).encode()
    assert redact_personal_data({"owner": 1}) == {}
    assert redact_personal_data(object()) is None
