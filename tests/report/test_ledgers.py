"""What the report says of videos that did not give what was expected."""

from abaw_submit.report.ledgers import decoding_table

HEAD = "track,decoded,official,rows,found,filled,longest_gap,bad_packets,lost,without_row\n"


def test_only_tracks_with_something_to_say_are_listed(tmp_path):
    (tmp_path / "summary.csv").write_text(
        HEAD
        + "whole,150,151,151,150,1,1,0,0,0\n"  # a container that differs as sound ones do
        + "short,39,121,121,39,82,82,0,0,0\n"
        + "damaged,120,121,121,120,1,1,3,1,0\n"
        + "plain,100,,100,100,0,0,0,0,2\n"
        + "total,409,393,493,409,84,82,3,1,2\n"
    )
    table = decoding_table(tmp_path)
    assert table is not None
    assert [list(row) for row in table.rows] == [
        ["short", "39", "121", "0", "0", "0"],
        ["damaged", "120", "121", "3", "1", "0"],
        ["plain", "100", "", "0", "0", "2"],
    ]


def test_nothing_is_shown_where_all_is_well_or_unknown(tmp_path):
    assert decoding_table(tmp_path) is None
    (tmp_path / "summary.csv").write_text(HEAD + "whole,150,151,151,150,1,1,0,0,0\n")
    assert decoding_table(tmp_path) is None
