"""More layouts, written as the first ones: tables of other tools, JSON, padded arrays, files of torch."""

from __future__ import annotations

import importlib.util
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd

from abaw_submit.tasks import TASKS

_spec = importlib.util.spec_from_file_location("layouts", Path(__file__).with_name("layouts.py"))
_layouts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_layouts)
frame, per_track, whole = _layouts.frame, _layouts.per_track, _layouts.whole
LAYOUTS = {}


def layout(function):
    LAYOUTS[function.__name__] = function
    return function


def numbers(values):
    return np.float64(values).round(6).tolist()


def padded(tracks, fill=0.0):
    """(tracks, longest, outputs) and the lengths."""
    lengths = [len(values) for values in tracks.values()]
    width = next(iter(tracks.values())).shape[1]
    whole = np.full((len(tracks), max(lengths), width), fill, np.float32)
    for row, values in zip(whole, tracks.values(), strict=True):
        row[: len(values)] = values
    return whole, lengths


def written(path, text):
    path.write_text(text)
    return path


@layout
def vid_and_frame_id(out, tracks, task):
    table = whole(tracks, task, ("video", "frame")).rename(columns={"video": "vid", "frame": "frame_id"})
    table.to_csv(out.with_suffix(".csv"), index=False)
    return out.with_suffix(".csv")


@layout
def image_of_six_digits(out, tracks, task):
    table = whole(tracks, task).rename(columns={"image_location": "image"})
    table["image"] = [f"/mnt/crops/{p[:-9]}0{p[-9:-4]}.png" for p in table["image"]]
    table.to_csv(out.with_suffix(".csv"), index=False)
    return out.with_suffix(".csv")


@layout
def numbered_probabilities(out, tracks, task):
    table = whole(tracks, task, ("video", "frame"))
    table.columns = ["video", "frame", *(f"prob_{k}" for k in range(TASKS[task].outputs))]
    table.to_csv(out.with_suffix(".csv"), index=False)
    return out.with_suffix(".csv")


@layout
def names_with_the_task(out, tracks, task):
    table = whole(tracks, task, ("video", "frame"))
    table.columns = ["video", "frame", *(f"{task.lower()}_{c}" for c in TASKS[task].columns)]
    table.to_csv(out.with_suffix(".tsv"), index=False, sep="\t", encoding="utf-8-sig", lineterminator="\r\n")
    return out.with_suffix(".tsv")


@layout
def decimal_commas_in_quotes(out, tracks, task):
    table = whole(tracks, task, ("video", "frame"))
    table.to_csv(out.with_suffix(".csv"), index=False, decimal=",", quoting=1)
    return out.with_suffix(".csv")


@layout
def semicolons_decimal_comma_utf16(out, tracks, task):
    table = whole(tracks, task)
    table.to_csv(out.with_suffix(".csv"), index=False, sep=";", decimal=",", encoding="utf-16")
    return out.with_suffix(".csv")


@layout
def padded_columns_of_spaces(out, tracks, task):
    return written(out.with_suffix(".txt"), whole(tracks, task, ("video", "frame")).to_string(index=False))


@layout
def pictures_without_folders(out, tracks, task):
    def write(path, values):
        table = frame(values, task)
        table.insert(0, "filename", [f"frame_{k:06d}.png" for k in range(len(values))])
        table.to_csv(path, index=False)

    return per_track(out, tracks, write, "_predictions_va.csv")


@layout
def a_word_in_front_of_the_tracks(out, tracks, task):
    out.mkdir()
    for track, values in tracks.items():
        frame(values, task).to_csv(out / f"pred_{track}.csv", index=False)
    return out


@layout
def frames_as_floats_backwards(out, tracks, task):
    table = whole(tracks, task, ("video", "frame")).iloc[::-1]
    table.astype({"frame": float}).to_csv(out.with_suffix(".csv"), index=False)
    return out.with_suffix(".csv")


@layout
def json_lines_a_row(out, tracks, task):
    table = whole(tracks, task, ("video", "frame"))
    return written(out.with_suffix(".jsonl"), table.to_json(orient="records", lines=True))


@layout
def json_lines_a_picture(out, tracks, task):
    rows = [
        json.dumps({"image": f"{track}/{k + 1:05d}.jpg", "probs": numbers(row)})
        for track, values in tracks.items()
        for k, row in enumerate(values)
    ]
    return written(out.with_suffix(".jsonl"), "\n".join(rows))


@layout
def json_lines_a_track(out, tracks, task):
    rows = [json.dumps({"video": f"{t}.mp4", "predictions": numbers(v)}) for t, v in tracks.items()]
    return written(out.with_suffix(".ndjson"), "\n".join(rows) + "\n")


@layout
def json_lines_in_a_file_a_track(out, tracks, task):
    def write(path, values):
        path.write_text(frame(values, task).to_json(orient="records", lines=True))

    return per_track(out, tracks, write, ".jsonl")


@layout
def json_of_pandas_split(out, tracks, task):
    return written(out.with_suffix(".json"), whole(tracks, task, ("video", "frame")).to_json(orient="split"))


@layout
def json_of_pandas_columns(out, tracks, task):
    return written(out.with_suffix(".json"), whole(tracks, task, ("video", "frame")).to_json())


@layout
def json_with_remarks(out, tracks, task):
    results = {track: numbers(values) for track, values in tracks.items()}
    return written(out.with_suffix(".json"), json.dumps({"model": "x", "fold": 3, "results": results}))


@layout
def npy_of_dictionaries(out, tracks, task):
    entries = {t: {"pred": v, "frames": np.arange(len(v)) + 1} for t, v in tracks.items()}
    np.save(out.with_suffix(".npy"), entries, allow_pickle=True)
    return out.with_suffix(".npy")


@layout
def npy_of_records(out, tracks, task):
    table = whole(tracks, task, ("video", "frame"))
    np.save(out.with_suffix(".npy"), table.to_records(index=False, column_dtypes={"video": "U40"}))
    return out.with_suffix(".npy")


@layout
def pickle_of_track_and_frame(out, tracks, task):
    entries = {(track, k + 1): row for track, values in tracks.items() for k, row in enumerate(values)}
    out.with_suffix(".pkl").write_bytes(pickle.dumps(entries))
    return out.with_suffix(".pkl")


@layout
def padded_npz(out, tracks, task):
    values, lengths = padded(tracks, fill=np.nan)
    np.savez(out.with_suffix(".npz"), scores=values, lengths=lengths, names=list(tracks))
    return out.with_suffix(".npz")


@layout
def padded_npz_with_a_mask(out, tracks, task):
    values, lengths = padded(tracks)
    mask = np.arange(values.shape[1]) < np.array(lengths)[:, None]
    np.savez(out.with_suffix(".npz"), preds=values, mask=mask, video_names=list(tracks))
    return out.with_suffix(".npz")


@layout
def padded_json(out, tracks, task):
    values, lengths = padded(tracks)
    parts = {"videos": list(tracks), "num_frames": lengths, "scores": numbers(values)}
    return written(out.with_suffix(".json"), json.dumps(parts))


@layout
def padded_with_files_beside(out, tracks, task):
    out.mkdir()
    values, lengths = padded(tracks)
    np.save(out / "scores.npy", values)
    np.save(out / "lengths.npy", lengths)
    (out / "names.txt").write_text("\n".join(tracks) + "\n")
    return out


@layout
def one_below_the_other_with_files_beside(out, tracks, task):
    out.mkdir()
    np.save(out / "predictions.npy", np.concatenate(list(tracks.values())))
    (out / "lengths.txt").write_text("\n".join(str(len(v)) for v in tracks.values()) + "\n")
    (out / "videos.json").write_text(json.dumps(list(tracks)))
    return out


@layout
def torch_dictionary(out, tracks, task):
    import torch

    torch.save({t: torch.from_numpy(v.copy()) for t, v in tracks.items()}, out.with_suffix(".pt"))
    return out.with_suffix(".pt")


@layout
def torch_before_1_6(out, tracks, task):
    import torch

    made = {t: torch.from_numpy(v.copy()).double() for t, v in tracks.items()}
    torch.save(made, out.with_suffix(".pth"), _use_new_zipfile_serialization=False)
    return out.with_suffix(".pth")


@layout
def torch_a_file_a_track(out, tracks, task):
    import torch

    return per_track(out, tracks, lambda p, v: torch.save(torch.from_numpy(v.copy()), p), ".pt")


@layout
def torch_of_numpy(out, tracks, task):
    import torch

    torch.save({"preds": dict(tracks)}, out.with_suffix(".pt"))
    return out.with_suffix(".pt")


def parquet(kind):
    """Tables that need pyarrow."""

    def write(out, tracks, task):
        table = whole(tracks, task, ("video", "frame"))
        if kind == "index":
            table = table.set_index(["video", "frame"])
        elif kind == "types":
            table = table.astype({"video": "category", "frame": "Int64"})
        elif kind == "vectors":
            rows = [(f"{t}/{k + 1:05d}.jpg", row) for t, v in tracks.items() for k, row in enumerate(v)]
            table = pd.DataFrame(rows, columns=["image", "scores"])
        elif kind == "shuffled":
            table = table.sample(frac=1, random_state=1)
        table.to_parquet(out.with_suffix(".parquet"))
        return out.with_suffix(".parquet")

    return write


PARQUET = {kind: parquet(kind) for kind in ("plain", "index", "types", "vectors", "shuffled")}
