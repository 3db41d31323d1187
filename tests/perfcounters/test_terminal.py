"""Lines for a terminal: broken between words where they are too wide, and whole for anything else."""

from __future__ import annotations

import io

from perfcounters import _terminal


def test_what_is_no_terminal_has_no_width(tmp_path):
    closed = io.StringIO()
    closed.close()
    with (tmp_path / "file").open("w") as file:
        assert [_terminal.columns(each) for each in (io.StringIO(), file, closed)] == [None, None, None]


def test_a_line_goes_on_below_its_text():
    """From the column given; further to the left where 24 columns would not be left there."""
    line = "name      the text that says what it is, in so many words"
    assert _terminal.wrapped(line, 34, hang=10).split("\n") == [
        "name      the text that says what",
        "          it is, in so many words",
    ]
    assert _terminal.wrapped(line, 33, hang=10).split("\n")[1] == "  it is, in so many words"
    assert _terminal.wrapped(line, None) == _terminal.wrapped(line, 200) == line


def test_words_are_never_broken():
    """A path or an option may be copied."""
    assert _terminal.wrapped("see /a/path-that/is-longer.jsonl", 12) == "see\n  /a/path-that/is-longer.jsonl"


def test_lines_go_on_further_in_than_they_begin():
    lines = ["    a line that begins further in", "short"]
    assert _terminal.fitted(lines, 32) == "    a line that begins further\n      in\nshort"
