"""Strangers' text: what is stored is printable and short."""

from plusmv.core.text import bounded, bounded_line, printable


def test_captions_keep_their_lines_and_lose_control_characters():
    assert bounded(" one\x00\x1b\n\ttwo\ud800 ü⛳ ", 100) == "one\n\ttwo ü⛳"
    assert bounded("x" * 10, 4) == "xxxx"


def test_a_line_is_one_line():
    assert bounded_line(" a\x00b\n\n c\u2028d ", 100) == "a b c d"
    assert bounded_line("x" * 10, 4) == "xxxx"


def test_names_stay_as_they_are_but_for_what_cannot_be_printed():
    assert printable("a  b/ü.mp4", 100) == "a  b/ü.mp4"
    assert (
        printable("a\nb\x00\udce9.mp4", 100) == "a\N{REPLACEMENT CHARACTER}b" + "\N{REPLACEMENT CHARACTER}" * 2 + ".mp4"
    )
    assert printable("abcdef", 3) == "abc"
