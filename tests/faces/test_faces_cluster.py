"""The same crops from a Dask cluster of two worker processes."""

import pytest

from abaw_submit.errors import UserError
from abaw_submit.faces.cluster import on_cluster
from abaw_submit.faces.detect import DetectorSpec
from abaw_submit.faces.settings import CropSettings
from abaw_submit.faces.stage import Workers, crop_corpus

distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")


def test_two_dask_workers_give_the_same_bytes(demo_corpus, tmp_path):
    videos = sorted((demo_corpus / "videos").glob("*"))[:3]
    outs = [tmp_path / "here", tmp_path / "cluster"]
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    )
    with cluster:
        for out, workers in zip(
            outs, [Workers(1), Workers(0, "dask", cluster.scheduler_address)], strict=True
        ):
            crop_corpus(videos, out, DetectorSpec("haar"), CropSettings(), workers=workers)
    here, there = ({p.relative_to(o): p.read_bytes() for p in o.glob("*/*")} for o in outs)
    assert len(here) > 50
    assert here == there


def test_no_address_and_no_scheduler_are_one_line():
    with pytest.raises(UserError, match="needs --scheduler"):
        list(on_cluster(str, [1], None))
    with pytest.raises(UserError, match="No Dask scheduler answers"):
        list(on_cluster(str, [1], "not an address"))
