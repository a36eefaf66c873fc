"""The rules forbid pre-training on Aff-Wild2: crops that look like it are refused unless told."""

import pytest

from abaw_submit.errors import UserError
from abaw_submit.training.pretrain import refuse_aff_wild2


@pytest.mark.parametrize("name", ["24-30-1920x1080-1", "video45_1_left", "102", "10-60-1280x720_right"])
def test_tracks_of_aff_wild2(tmp_path, name):
    folder = tmp_path / "cropped_aligned" / name
    folder.mkdir(parents=True)
    refuse_aff_wild2(tmp_path)
    (folder / "00001.jpg").write_bytes(b"")
    for place in (tmp_path, tmp_path / "cropped_aligned", folder):
        with pytest.raises(UserError, match=r"looks like crops of a track[^\n]*\n.*--not-aff-wild2"):
            refuse_aff_wild2(place)


def test_a_ledger(tmp_path):
    (tmp_path / "anything").mkdir()
    (tmp_path / "anything" / "ledger.csv").write_text("row\n")
    with pytest.raises(UserError, match=r"with a ledger\.csv"):
        refuse_aff_wild2(tmp_path)


@pytest.mark.parametrize("name", ["n000001/0001_01.jpg", "happy/00001.jpg", "00001.jpg", "train/3/img_7.jpg"])
def test_other_faces(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b"")
    refuse_aff_wild2(tmp_path)
