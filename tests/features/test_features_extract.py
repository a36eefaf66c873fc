"""The stage: what is up to date is kept, what fails is listed, and nobody sees how it was divided."""

import errno
import json
import os
import sys
import types
from contextlib import contextmanager
from unittest.mock import Mock

import numpy as np
import pytest

from abaw_submit.audio.sound import RATE_HZ
from abaw_submit.errors import UserError
from abaw_submit.features import sources
from abaw_submit.features.cache import SCHEMA, list_tracks, read_features, read_fingerprint
from abaw_submit.features.extract import extract
from abaw_submit.features.job import Extraction
from abaw_submit.features.registry import EXTRACTORS, get_extractor
from abaw_submit.features.sources import crops_identity, video_of
from abaw_submit.store import fingerprint


class Colour:
    """A visual extractor from outside the package: the mean colour of the crop."""

    kind = "visual"
    needs_weights = False
    dim = 3
    size_px = 16
    identity = "colour-1"
    calls = 0

    def __call__(self, images):
        type(self).calls += 1
        return images.mean(axis=(1, 2), dtype=np.float32) / 255


COLOUR = "outside_of_the_package:Colour"


@pytest.fixture(autouse=True)
def outside_module(monkeypatch):
    """Makes `Colour` importable as somebody else's module."""
    module = types.ModuleType("outside_of_the_package")
    module.__dict__["Colour"] = Colour
    monkeypatch.setitem(sys.modules, module.__name__, module)
    Colour.calls = 0


@pytest.fixture
def corpus(tmp_path, make_crops, make_video):
    """Three tracks, two of them of one video; one row without a face; one video without sound."""
    crops, videos = tmp_path / "crops", tmp_path / "videos"
    videos.mkdir()
    make_crops(crops / "102", rows=12, found=[True] * 11 + [False], seed=1)
    make_crops(crops / "video2", rows=8, seed=2)
    make_crops(crops / "video2_left", rows=8, seed=3)
    sound = np.sin(np.arange(RATE_HZ) / 5) * 0.3
    make_video(videos / "102.mkv", frames=12, sound=sound)
    make_video(videos / "video2.mkv", frames=8)
    return crops, videos


def bytes_of(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.glob("*.h5"))}


class TestVisual:
    def test_every_track_has_a_file_and_the_record_counts(self, corpus, tmp_path):
        crops, _ = corpus
        report = extract(Extraction(COLOUR, tmp_path / "out"), crops)
        assert [(r.track, r.written, r.rows, r.valid_rows) for r in report.results] == [
            ("102", True, 12, 11),
            ("video2", True, 8, 8),
            ("video2_left", True, 8, 8),
        ]
        features = read_features(tmp_path / "out" / "102.h5")
        assert features.attributes["extractor"] == COLOUR
        np.testing.assert_allclose(features.time_s, np.arange(12) / 30, atol=1e-6)
        assert not features.valid[11]
        record = json.loads((tmp_path / "out" / "record.json").read_text())
        assert record["counts"] == {"tracks": 3, "rows": 28, "valid_rows": 27}
        assert record["failures"] == []

    def test_a_second_run_does_nothing(self, corpus, tmp_path):
        crops, _ = corpus
        extract(Extraction(COLOUR, tmp_path / "out"), crops)
        calls = Colour.calls
        assert extract(Extraction(COLOUR, tmp_path / "out"), crops).fresh is False
        assert Colour.calls == calls

    def test_only_what_changed_is_made_again(self, corpus, tmp_path, make_crops):
        crops, _ = corpus
        out = tmp_path / "out"
        extract(Extraction(COLOUR, out), crops)
        before = bytes_of(out)
        make_crops(crops / "video2", rows=9, seed=5)
        report = extract(Extraction(COLOUR, out), crops)
        assert [r.track for r in report.results if r.written] == ["video2"]
        after = bytes_of(out)
        assert after["102.h5"] == before["102.h5"]
        assert read_features(out / "video2.h5").rows == 9

    def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(self, corpus, tmp_path):
        crops, _ = corpus
        extract(Extraction(COLOUR, tmp_path / "whole"), crops)
        extract(Extraction(COLOUR, tmp_path / "killed"), crops)
        (tmp_path / "killed" / "record.json").unlink()
        (tmp_path / "killed" / "102.h5").unlink()
        (tmp_path / "killed" / "video2.h5").write_bytes(b"half")
        report = extract(Extraction(COLOUR, tmp_path / "killed"), crops)
        assert [r.track for r in report.results if r.written] == ["102", "video2"]
        assert bytes_of(tmp_path / "killed") == bytes_of(tmp_path / "whole")

    def test_a_broken_track_is_listed_and_the_rest_is_done(self, corpus, tmp_path, make_crops):
        crops, _ = corpus
        (crops / "video2" / "00004.jpg").write_bytes(b"not a picture")
        report = extract(Extraction(COLOUR, tmp_path / "out"), crops, tracks=["102", "video2", "ghost"])
        assert [track for track, _ in report.failures] == ["ghost", "video2"]
        assert "00004.jpg cannot be decoded" in dict(report.failures)["video2"]
        assert list_tracks(tmp_path / "out") == ["102"]
        make_crops(crops / "video2", rows=8, seed=2)  # repaired: the stage is not done, and now works
        report = extract(Extraction(COLOUR, tmp_path / "out"), crops, tracks=["102", "video2"])
        assert report.failures == []
        assert [r.track for r in report.results if r.written] == ["video2"]

    def test_a_full_disk_stops_the_stage_and_marks_no_track(self, corpus, tmp_path, monkeypatch):
        crops, _ = corpus
        place = tmp_path / "out"
        full = OSError(errno.ENOSPC, "No space left on device", str(place / "102.h5"))
        monkeypatch.setattr("abaw_submit.features.track.write_features", Mock(side_effect=full))
        with pytest.raises(OSError, match="No space left") as told:
            extract(Extraction(COLOUR, place), crops, jobs=1)
        assert told.value.errno == errno.ENOSPC
        assert not (place / "record.json").exists()

    def test_no_more_open_files_are_no_fault_of_a_track(self, corpus, tmp_path, monkeypatch):
        crops, _ = corpus
        many = OSError(errno.EMFILE, "Too many open files")
        monkeypatch.setattr("abaw_submit.features.track._values", Mock(side_effect=many))
        with pytest.raises(OSError, match="Too many open files"):
            extract(Extraction(COLOUR, tmp_path / "out"), crops, jobs=1)
        gone = FileNotFoundError(errno.ENOENT, "No such file", "00003.jpg")
        monkeypatch.setattr("abaw_submit.features.track._values", Mock(side_effect=gone))
        report = extract(Extraction(COLOUR, tmp_path / "out"), crops, jobs=1)
        assert [track for track, _ in report.failures] == ["102", "video2", "video2_left"]

    def test_a_track_whose_file_would_have_too_long_a_name_does_not_stop_the_others(
        self, corpus, tmp_path, make_crops
    ):
        crops, _ = corpus
        make_crops(crops / ("n" * 254), rows=3, seed=4)
        report = extract(Extraction(COLOUR, tmp_path / "out"), crops, jobs=1)
        assert [(track, "too long" in why) for track, why in report.failures] == [("n" * 254, True)]
        assert list_tracks(tmp_path / "out") == ["102", "video2", "video2_left"]


class TestIdentity:
    """Millions of pictures: the system is asked for the sizes of those alone that were not read anyway."""

    @pytest.fixture
    def asked(self, monkeypatch):
        """The names of the pictures whose size the system was asked for."""
        names = []

        class Entry:
            def __init__(self, entry):
                self._entry, self.name = entry, entry.name

            def stat(self):
                names.append(self.name)
                return self._entry.stat()

        @contextmanager
        def scandir(folder):
            with os.scandir(folder) as entries:
                yield map(Entry, entries)

        monkeypatch.setattr(sources, "os", types.SimpleNamespace(scandir=scandir))
        return names

    def test_what_is_read_is_not_asked_for_again(self, corpus, tmp_path, asked):
        crops, _ = corpus
        (crops / "record.json").write_text(json.dumps(RECORD))  # as the stage `crop` leaves it
        (crops / "102" / "00012.jpg").write_bytes(b"of a row that shows nobody: not read")
        extract(Extraction(COLOUR, tmp_path / "out"), crops)
        assert asked == ["00012.jpg"]
        identity = crops_identity(crops / "102")
        assert len(asked) == 1 + 12  # nothing was read, so all are asked for
        assert read_fingerprint(tmp_path / "out" / "102.h5") == fingerprint(
            "extract", SCHEMA, Colour.identity, identity
        )

    @pytest.mark.parametrize("name", ["00003.jpg", "00012.jpg"])
    def test_a_picture_of_another_size_is_another_input(self, corpus, tmp_path, name):
        crops, _ = corpus
        (crops / "record.json").write_text(json.dumps(RECORD))
        extract(Extraction(COLOUR, tmp_path / "out"), crops)
        (tmp_path / "out" / "record.json").unlink()
        with (crops / "102" / name).open("ab") as picture:
            picture.write(b"more")
        report = extract(Extraction(COLOUR, tmp_path / "out"), crops)
        assert [r.track for r in report.results if r.written] == ["102"]


RECORD = {
    "stage": "crop", "fingerprint": "f", "digest": "d",
    "inputs": [], "outputs": [], "counts": {}, "failures": [],
}  # fmt: skip


class TestAudio:
    def test_sound_is_found_for_sides_and_missing_sound_is_not_valid(self, corpus, tmp_path):
        crops, videos = corpus
        report = extract(Extraction("logmel", tmp_path / "out"), crops, videos=[videos])
        assert {r.track: r.valid_rows for r in report.results} == {"102": 12, "video2": 0, "video2_left": 0}

    def test_processes_and_shards_do_not_show(self, corpus, tmp_path):
        crops, videos = corpus
        extract(Extraction("logmel", tmp_path / "one"), crops, videos=[videos], jobs=1)
        extract(Extraction("logmel", tmp_path / "two"), crops, videos=[videos], jobs=2)
        for shard in ("1/2", "2/2"):
            extract(Extraction("logmel", tmp_path / "parts"), crops, videos=[videos], shard=shard)
            assert not (tmp_path / "parts" / "record.json").exists()
        collected = extract(Extraction("logmel", tmp_path / "parts"), crops, videos=[videos])
        assert not any(r.written for r in collected.results)
        assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two") == bytes_of(tmp_path / "parts")

    def test_a_track_without_a_video_is_listed(self, corpus, tmp_path):
        crops, videos = corpus
        (videos / "102.mkv").unlink()
        report = extract(Extraction("logmel", tmp_path / "out"), crops, videos=[videos])
        assert [track for track, _ in report.failures] == ["102"]
        assert list_tracks(tmp_path / "out") == ["video2", "video2_left"]

    def test_another_sound_is_another_input(self, corpus, tmp_path, make_video):
        crops, videos = corpus
        extract(Extraction("logmel", tmp_path / "out"), crops, videos=[videos])
        before = read_fingerprint(tmp_path / "out" / "102.h5")
        size = (videos / "102.mkv").stat().st_size
        make_video(videos / "102.mkv", frames=12, sound=np.zeros(RATE_HZ))
        assert (videos / "102.mkv").stat().st_size == size
        extract(Extraction("logmel", tmp_path / "out"), crops, videos=[videos])
        assert read_fingerprint(tmp_path / "out" / "102.h5") != before

    def test_videos_may_be_files(self, corpus):
        _, videos = corpus
        files = sorted(videos.iterdir())
        assert video_of("video2_left", files).name == "video2.mkv"
        with pytest.raises(UserError, match="No video for track ghost"):
            video_of("ghost", files)


class TestWrongUsage:
    def test_audio_without_videos(self, corpus, tmp_path):
        with pytest.raises(UserError, match="give --videos"):
            extract(Extraction("logmel", tmp_path / "out"), corpus[0])

    def test_no_weights(self, corpus, tmp_path):
        with pytest.raises(UserError, match="needs --checkpoint: a checkpoint folder"):
            extract(Extraction("mae", tmp_path / "out"), corpus[0])

    def test_weights_that_do_not_load_stop_everything(self, corpus, tmp_path):
        (tmp_path / "a.pth").write_bytes(b"")
        with pytest.raises(UserError, match="cannot be loaded as plain weights"):
            extract(Extraction("mae", tmp_path / "out", str(tmp_path / "a.pth")), corpus[0])

    def test_no_crops(self, tmp_path):
        with pytest.raises(UserError, match=r"No <track>/ledger\.csv in"):
            extract(Extraction(COLOUR, tmp_path / "out"), tmp_path)

    @pytest.mark.parametrize("shard", ["0/2", "3/2", "a", "1"])
    def test_shards(self, corpus, tmp_path, shard):
        with pytest.raises(UserError, match="expected i/n"):
            extract(Extraction(COLOUR, tmp_path / "out"), corpus[0], shard=shard)


class TestRegistry:
    @pytest.mark.parametrize("name", EXTRACTORS)
    def test_every_entry_can_be_imported_and_tells_the_truth(self, name):
        entry = get_extractor(name)
        factory = entry.load()
        assert factory.kind == entry.kind
        if not entry.needs_weights:
            assert factory().dim == entry.dim

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("hubrt", 'Did you mean "hubert"'),
            ("no_such_module:Thing", "no module no_such_module can be imported"),
            ("abaw_submit.features.registry:Thing", 'has no "Thing"'),
            ("abaw_submit.features.registry:Entry", '`kind` is None; expected "visual" or "audio"'),
        ],
    )
    def test_unknown_names(self, name, message):
        with pytest.raises(UserError, match=message):
            get_extractor(name)


class Fussy:
    """Fails on one track in a way no room foresees."""

    kind, needs_weights, identity, dim, size_px = "visual", False, "fussy", 1, 8

    def __call__(self, images):
        if len(images) == 5:
            raise ValueError("a decoder's words")
        return images.mean(axis=(1, 2))[:, :1]


def test_one_track_that_fails_in_an_unforeseen_way_does_not_stop_the_others(tmp_path, make_crops):
    import sys
    import types

    module = types.ModuleType("fussy_for_test")
    module.__dict__["Fussy"] = Fussy
    sys.modules["fussy_for_test"] = module
    for track, rows in (("102", 6), ("video2", 5), ("video9", 7)):
        make_crops(tmp_path / "crops" / track, rows=rows)
    report = extract(Extraction("fussy_for_test:Fussy", tmp_path / "out"), tmp_path / "crops")
    assert report.failures == [("video2", "ValueError: a decoder's words")]
    assert list_tracks(tmp_path / "out") == ["102", "video9"]
    report = extract(Extraction("fussy_for_test:Fussy", tmp_path / "out"), tmp_path / "crops")
    assert [r.written for r in report.results] == [False, False, False]  # only what failed is tried again
    del sys.modules["fussy_for_test"]
