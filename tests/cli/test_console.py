"""Tables: drawn for a person, plain for a program."""

from atoll.cli.console import _draw_table, print_table

HEADS, ROWS = ("operator", "ms"), [("CONV_2D", "1.250"), ("[red]", "10.000")]


def test_a_plain_table_has_aligned_columns(capsys):
    """Programs split it at spaces; nothing is drawn where no terminal is."""
    print_table(HEADS, ROWS, words={0})
    assert capsys.readouterr().out == "operator      ms\nCONV_2D    1.250\n[red]     10.000\n"


def test_names_are_text_to_a_drawn_table(capsys):
    """A tensor's name may look like a colour."""
    _draw_table(HEADS, ROWS, {0})
    out = capsys.readouterr().out
    assert "[red]" in out
    assert "10.000" in out
