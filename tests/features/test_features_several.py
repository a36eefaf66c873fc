"""Several encoders over one reading of the crops: each ends with the bytes it would have made alone."""

import json
import subprocess
import sys
import types

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from abaw_submit.corpus.crops import decode_crop, read_crop
from abaw_submit.errors import UserError
from abaw_submit.features import visual
from abaw_submit.features.cache import read_features
from abaw_submit.features.extract import extract, extract_several
from abaw_submit.features.job import Extraction
from abaw_submit.models.checkpoint import write_config
from abaw_submit.models.encoder import new_encoder
from abaw_submit.models.settings import VitSize

SIZES = {"small": (16, 8), "large": (24, 12), "twin": (16, 8)}


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """Random encoders, two of them of one picture size."""
    torch.manual_seed(0)
    made = {}
    for name, (side, dim) in SIZES.items():
        folder = made[name] = tmp_path_factory.mktemp(name)
        encoder = new_encoder(VitSize(img_size_px=side, patch_px=8, dim=dim, depth=1, heads=2))
        save_file(encoder.backbone.state_dict(), folder / "model.safetensors")
        write_config(folder, {"encoder": encoder.config})
    return made


@pytest.fixture
def crops(tmp_path, make_crops):
    make_crops(tmp_path / "crops" / "102", rows=7, found=[True] * 5 + [False, True], seed=1)
    make_crops(tmp_path / "crops" / "video2", rows=3, seed=2)
    return tmp_path / "crops"


def jobs_of(encoders, out, **more):
    return [
        Extraction("mae", out / name, str(folder), batch=3, device="cpu", **more)
        for name, folder in encoders.items()
    ]


def bytes_of(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.glob("*.h5"))}


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("workers", [1, 2])
def test_each_has_the_bytes_it_would_have_alone(encoders, crops, tmp_path, workers, views):
    reports = extract_several(jobs_of(encoders, tmp_path / "all", views=views), crops, jobs=workers)
    assert [[r.track for r in report.results] for report in reports] == [["102", "video2"]] * 3
    for job in jobs_of(encoders, tmp_path / "alone", views=views):
        extract(job, crops)
        both = tmp_path / "all" / job.out.name
        assert bytes_of(both) == bytes_of(job.out)
        record, alone = (json.loads((p / "record.json").read_text()) for p in (both, job.out))
        assert record["fingerprint"] == alone["fingerprint"]
        assert record["counts"] == alone["counts"] == {"tracks": 2, "rows": 10, "valid_rows": 9}
    assert not any(
        report.fresh for report in extract_several(jobs_of(encoders, tmp_path / "all"), crops)
    ) or (views > 1)


def test_each_crop_is_read_once_and_decoded_once_for_each_size(encoders, crops, tmp_path, monkeypatch):
    read, decoded = [], []
    monkeypatch.setattr(visual, "read_crop", lambda p, own=read_crop: read.append(p) or own(p))
    monkeypatch.setattr(
        visual, "decode_crop", lambda d, s, w, own=decode_crop: decoded.append((w, s)) or own(d, s, w)
    )
    extract_several(jobs_of(encoders, tmp_path / "out"), crops)
    assert len(read) == len(set(read)) == 9
    assert len(decoded) == len(set(decoded)) == 18


def test_only_what_is_not_there_is_made(encoders, crops, tmp_path):
    jobs = jobs_of(encoders, tmp_path / "out")
    extract(jobs[0], crops)
    (jobs[1].out).mkdir()
    extract_several(jobs[1:2], crops)
    (jobs[1].out / "102.h5").unlink()
    before = bytes_of(jobs[0].out)
    first, second, third = extract_several(jobs, crops)
    assert not first.fresh
    assert [r.written for r in second.results] == [True, False]
    assert [r.written for r in third.results] == [True, True]
    assert bytes_of(jobs[0].out) == before


class Blind:
    """Somebody else's extractor that gives NaN."""

    kind, needs_weights, identity, dim, size_px = "visual", False, "blind", 1, 8

    def __call__(self, images):
        return np.full((len(images), 1), np.nan, np.float32)


def test_an_encoder_that_fails_on_a_track_leaves_the_others_alone(encoders, crops, tmp_path, monkeypatch):
    module = types.ModuleType("blind_for_test")
    module.__dict__["Blind"] = Blind
    monkeypatch.setitem(sys.modules, module.__name__, module)
    seeing = jobs_of({"small": encoders["small"]}, tmp_path / "out")
    blind = Extraction("blind_for_test:Blind", tmp_path / "out" / "blind", batch=3, device="cpu")
    good, bad = extract_several([*seeing, blind], crops)
    assert good.failures == []
    assert [track for track, _ in bad.failures] == ["102", "video2"]
    assert "NaN" in bad.failures[0][1]


def test_a_broken_crop_fails_for_all(encoders, crops, tmp_path):
    (crops / "video2" / "00002.jpg").write_bytes(b"no picture")
    for report in extract_several(jobs_of(encoders, tmp_path / "out"), crops):
        assert [track for track, _ in report.failures] == ["video2"]
        assert [r.track for r in report.results if r.problem is None] == ["102"]


def test_a_killed_run_goes_on_to_the_same_bytes(encoders, crops, tmp_path):
    script = f"""
import os
from pathlib import Path
from abaw_submit.features import track
from abaw_submit.features.extract import extract_several
from abaw_submit.features.job import Extraction
own = track.write_features
def write(path, *args, **more):
    if path.parent.name == "large" and path.stem == "video2":
        os._exit(9)
    own(path, *args, **more)
track.write_features = write
jobs = [Extraction("mae", Path({str(tmp_path)!r}) / "killed" / name, source, batch=3, device="cpu")
        for name, source in { {k: str(v) for k, v in encoders.items()}!r}.items()]
extract_several(jobs, Path({str(crops)!r}))
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    assert not list(tmp_path.glob("killed/*/record.json"))
    extract_several(jobs_of(encoders, tmp_path / "killed"), crops)
    extract_several(jobs_of(encoders, tmp_path / "whole"), crops)
    for name in encoders:
        assert bytes_of(tmp_path / "killed" / name) == bytes_of(tmp_path / "whole" / name)


def test_threads_that_feed_one_gpu_give_the_same(encoders, crops, tmp_path, monkeypatch):
    """The way of a GPU, on a CPU: two tracks at once in one process."""
    jobs = jobs_of(encoders, tmp_path / "cpu")
    extract_several(jobs, crops)
    monkeypatch.setattr(Extraction, "on_gpu", lambda self: True)
    extract_several(jobs_of(encoders, tmp_path / "gpu"), crops, jobs=2)
    for name in encoders:
        found = read_features(tmp_path / "gpu" / name / "102.h5").values
        np.testing.assert_array_equal(found, read_features(tmp_path / "cpu" / name / "102.h5").values)


def test_one_folder_for_two_and_eyes_with_ears_are_refused(encoders, crops, tmp_path):
    twice = jobs_of({"small": encoders["small"]}, tmp_path / "out") * 2
    with pytest.raises(UserError, match="folders of their own"):
        extract_several(twice, crops)
    heard = Extraction("logmel", tmp_path / "sound")
    with pytest.raises(UserError, match="look at crops, or all listen"):
        extract_several([twice[0], heard], crops, videos=[crops])
