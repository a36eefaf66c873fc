"""Contact sheets: what a person sees of a track."""

import cv2
import numpy as np

from abaw_submit.corpus.ledger import write_ledger
from abaw_submit.faces.rows import fill_rows
from abaw_submit.faces.sheet import BAR_PX, GREEN, RED, TILE_PX, video_sheet, write_sheets


def make_track(crops, track, found, grey):
    """A track with a grey picture in the rows given."""
    folder = crops / track
    folder.mkdir(parents=True)
    ledger = fill_rows([], [k / 10 for k in range(40)], 10).ledger
    ledger.found[np.array(found, int) - 1] = True
    write_ledger(folder, ledger)
    for row in found:
        cv2.imwrite(str(folder / f"{row:05d}.jpg"), np.full((224, 224, 3), grey, np.uint8))


def test_tiles_every_half_second_with_gaps_marked(tmp_path):
    make_track(tmp_path, "v", range(1, 21), grey=0)
    sheet = video_sheet(tmp_path, ["v"])
    bars = [(row, (line == GREEN).all(1).sum(), (line == RED).all(1).sum()) for row, line in enumerate(sheet)]
    marked = [(green, red) for _, green, red in bars if green + red]
    assert marked == [(4 * TILE_PX, 4 * TILE_PX)] * BAR_PX  # 8 tiles of 5 rows, half of them found


def test_persons_of_one_video_share_a_sheet(tmp_path):
    make_track(tmp_path, "v_left", range(1, 41), grey=0)
    make_track(tmp_path, "v_right", range(1, 41), grey=200)
    make_track(tmp_path, "w", [], grey=0)
    assert write_sheets(tmp_path) == 2
    assert sorted(p.name for p in (tmp_path / "sheets").iterdir()) == ["v.png", "w.png"]
    column = cv2.imread(str(tmp_path / "sheets" / "v.png"))[:, TILE_PX // 2, 0]
    first_black, first_grey = np.argmax(column < 8), np.argmax(np.abs(column.astype(int) - 200) < 8)
    assert 0 < first_black < first_grey  # left above right
