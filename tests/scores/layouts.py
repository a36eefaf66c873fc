"""One set of scores, laid out as people lay scores out. Every writer gets the same numbers."""

from __future__ import annotations

import collections
import json
import pickle

import h5py
import numpy as np
import pandas as pd

from abaw_submit.scores.files import Scores, write_scores
from abaw_submit.tasks import TASKS

ROWS = {"102": 7, "video2_left": 5, "10-60-1280x720": 9}
ABC = {
    "VA": ["arousal", "valence"],
    "EXPR": ["Anger", "Disgust", "Fear", "Happiness", "Neutral", "Other", "Sadness", "Surprise"],
    "AU": ["AU26", "AU1", "AU2", "AU4", "AU6", "AU7", "AU10", "AU12", "AU15", "AU23", "AU24", "AU25"],
}


def make_scores(task, rows=None, seed=0):
    """Scores with six decimals, which every text form holds exactly."""
    rng = np.random.default_rng(seed)
    task = TASKS[task]
    tracks = {}
    for track, count in (rows or ROWS).items():
        values = rng.random((count, task.outputs))
        if task.name == "VA":
            values = values * 2 - 1
        if task.name == "EXPR":
            values /= values.sum(axis=1, keepdims=True)
        tracks[track] = values.round(6).astype(np.float32)
    return tracks


def frame(values, task, order=None):
    table = pd.DataFrame(np.asarray(values, np.float64).round(6), columns=list(TASKS[task].columns))
    return table if order is None else table[order]


def location(track, count, first=1):
    return [f"{track}/{k:05d}.jpg" for k in range(first, count + first)]


def whole(tracks, task, columns=("image_location",), first=1, order=None):
    """One table of all tracks."""
    parts = []
    for track, values in tracks.items():
        part = frame(values, task, order)
        for column in reversed(columns):
            own = {
                "image_location": location(track, len(values), first),
                "video": track,
                "frame": range(first, len(values) + first),
                "time": [k / 30 for k in range(len(values))],
            }[column]
            part.insert(0, column, own)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


LAYOUTS = {}


def layout(function):
    LAYOUTS[function.__name__] = function
    return function


def per_track(out, tracks, write, suffix):
    out.mkdir()
    for track, values in tracks.items():
        write(out / f"{track}{suffix}", values)
    return out


@layout
def own_h5(out, tracks, task):
    write_scores(out.with_suffix(".h5"), Scores(TASKS[task], tracks))
    return out.with_suffix(".h5")


@layout
def own_folder(out, tracks, task):
    write_scores(out, Scores(TASKS[task], tracks))
    return out


@layout
def headerless_text(out, tracks, task):
    return per_track(out, tracks, lambda p, v: frame(v, task).to_csv(p, header=False, index=False), ".txt")


@layout
def csv_per_video(out, tracks, task):
    return per_track(out, tracks, lambda p, v: frame(v, task).to_csv(p, index=False), ".csv")


@layout
def csv_with_index(out, tracks, task):
    return per_track(out, tracks, lambda p, v: frame(v, task).to_csv(p), ".csv")


@layout
def csv_unnamed_index(out, tracks, task):
    return per_track(out, tracks, lambda p, v: pd.DataFrame(np.float64(v).round(6)).to_csv(p), ".csv")


@layout
def csv_other_order(out, tracks, task):
    return per_track(out, tracks, lambda p, v: frame(v, task, ABC[task]).to_csv(p, index=False), ".csv")


@layout
def csv_frame_column_0(out, tracks, task):
    def write(path, values):
        table = frame(values, task)
        table.insert(0, "frame", range(len(table)))
        table.to_csv(path, index=False)

    return per_track(out, tracks, write, ".csv")


@layout
def csv_frame_and_time(out, tracks, task):
    def write(path, values):
        table = frame(values, task)
        table.insert(0, "timestamp", [k / 25 for k in range(len(table))])
        table.insert(0, "frame", range(1, len(table) + 1))
        table.to_csv(path, index=False)

    return per_track(out, tracks, write, ".csv")


@layout
def headerless_frame_column(out, tracks, task):
    def write(path, values):
        table = frame(values, task)
        table.insert(0, "frame", range(1, len(table) + 1))
        table.to_csv(path, index=False, header=False)

    return per_track(out, tracks, write, ".txt")


@layout
def one_csv_locations(out, tracks, task):
    whole(tracks, task).to_csv(out.with_suffix(".csv"), index=False)
    return out.with_suffix(".csv")


@layout
def one_csv_locations_0(out, tracks, task):
    whole(tracks, task, first=0).to_csv(out.with_suffix(".csv"), index=False)
    return out.with_suffix(".csv")


@layout
def one_csv_video_frame(out, tracks, task):
    whole(tracks, task, ("video", "frame")).to_csv(out.with_suffix(".csv"), index=False)
    return out.with_suffix(".csv")


@layout
def one_csv_video_frame_0_times_index(out, tracks, task):
    whole(tracks, task, ("video", "frame", "time"), first=0).to_csv(out.with_suffix(".csv"))
    return out.with_suffix(".csv")


@layout
def one_csv_headerless(out, tracks, task):
    whole(tracks, task).to_csv(out.with_suffix(".txt"), index=False, header=False)
    return out.with_suffix(".txt")


@layout
def one_csv_shuffled(out, tracks, task):
    whole(tracks, task).sample(frac=1, random_state=1).to_csv(out.with_suffix(".csv"), index=False)
    return out.with_suffix(".csv")


@layout
def long_paths_windows(out, tracks, task):
    table = whole(tracks, task)
    table["image_location"] = "D:\\data\\cropped_aligned\\" + table["image_location"].str.replace("/", "\\")
    table.to_csv(out.with_suffix(".csv"), index=False)
    return out.with_suffix(".csv")


@layout
def excel_german(out, tracks, task):
    """Semicolons, decimal comma, byte order mark, CRLF."""

    def write(path, values):
        table = frame(values, task)
        table.to_csv(path, index=False, sep=";", decimal=",", encoding="utf-8-sig", lineterminator="\r\n")

    return per_track(out, tracks, write, ".csv")


@layout
def tabs_and_spaces(out, tracks, task):
    out.mkdir()
    for k, (track, values) in enumerate(tracks.items()):
        np.savetxt(
            out / f"{track}.txt", np.float64(values).round(6), delimiter="\t" if k else " ", fmt="%.6e"
        )
    return out


@layout
def savetxt_header(out, tracks, task):
    def write(path, values):
        np.savetxt(path, np.float64(values).round(6), delimiter=",", fmt="%.6f", header=TASKS[task].header())

    return per_track(out, tracks, write, ".txt")


@layout
def r_quotes(out, tracks, task):
    table = whole(tracks, task, ("video", "frame"))
    table.index += 1
    table.to_csv(out.with_suffix(".csv"), quoting=2)
    return out.with_suffix(".csv")


@layout
def trailing_commas(out, tracks, task):
    def write(path, values):
        text = frame(values, task).to_csv(index=False)
        path.write_text(text.replace("\n", ",\n"))

    return per_track(out, tracks, write, ".csv")


@layout
def npy_per_video(out, tracks, task):
    return per_track(out, tracks, np.save, ".npy")


@layout
def npy_feat_suffix_mp4(out, tracks, task):
    return per_track(out, tracks, np.save, ".mp4_pred.npy")


@layout
def npy_turned(out, tracks, task):
    # double rows, so that no track has as many rows as outputs
    return per_track(out, tracks, lambda p, v: np.save(p, np.ascontiguousarray(v.T)), ".npy")


@layout
def npy_fortran_double_big_endian(out, tracks, task):
    return per_track(out, tracks, lambda p, v: np.save(p, np.asfortranarray(v.astype(">f8"))), ".npy")


@layout
def npz_keyed(out, tracks, task):
    np.savez_compressed(out.with_suffix(".npz"), **tracks)
    return out.with_suffix(".npz")


@layout
def npz_per_video(out, tracks, task):
    def write(path, values):
        np.savez(path, scores=values, frames=np.arange(len(values)))

    return per_track(out, tracks, write, ".npz")


@layout
def npz_lengths(out, tracks, task):
    path = out.with_suffix(".npz")
    np.savez(
        path,
        probs=np.concatenate(list(tracks.values())),
        lengths=[len(v) for v in tracks.values()],
        names=list(tracks),
    )
    return path


@layout
def npz_columns(out, tracks, task):
    table = whole(tracks, task, ("video", "frame"))
    np.savez(out.with_suffix(".npz"), **{c: np.array(table[c].tolist()) for c in table})
    return out.with_suffix(".npz")


@layout
def npy_of_a_dictionary(out, tracks, task):
    np.save(out.with_suffix(".npy"), tracks, allow_pickle=True)
    return out.with_suffix(".npy")


@layout
def h5_without_attributes(out, tracks, task):
    with h5py.File(out.with_suffix(".hdf5"), "w") as file:
        for track, values in tracks.items():
            file[track] = values
    return out.with_suffix(".hdf5")


@layout
def h5_group_per_track(out, tracks, task):
    with h5py.File(out.with_suffix(".h5"), "w") as file:
        for track, values in tracks.items():
            file[f"{track}/scores"] = values
            file[f"{track}/frame"] = np.arange(1, len(values) + 1)
            file[f"{track}/labels"] = np.zeros(len(values))
    return out.with_suffix(".h5")


@layout
def h5_group_odd_name(out, tracks, task):
    with h5py.File(out.with_suffix(".h5"), "w") as file:
        for track, values in tracks.items():
            file[f"validation/{track}/tmf"] = values
    return out.with_suffix(".h5")


@layout
def h5_one_table(out, tracks, task):
    table = whole(tracks, task, ("video", "frame"))
    with h5py.File(out.with_suffix(".h5"), "w") as file:
        file["predictions"] = np.concatenate(list(tracks.values()))
        file["video"] = table["video"].tolist()
        file["frame"] = table["frame"].to_numpy()
    return out.with_suffix(".h5")


@layout
def pickle_dictionary(out, tracks, task):
    out.with_suffix(".pkl").write_bytes(pickle.dumps(tracks))
    return out.with_suffix(".pkl")


@layout
def pickle_of_frames(out, tracks, task):
    """HSEmotion's: the picture's path, and its vector."""
    flat = collections.OrderedDict(
        (f"cropped_aligned/{track}/{k + 1:05d}.jpg", row)
        for track, v in tracks.items()
        for k, row in enumerate(v)
    )
    out.with_suffix(".pickle").write_bytes(pickle.dumps(flat, 2))
    return out.with_suffix(".pickle")


@layout
def pickle_lists_in_lists(out, tracks, task):
    plain = {
        f"{t}.mp4": {"frames": list(range(len(v))), "preds": np.float64(v).round(6).tolist()}
        for t, v in tracks.items()
    }
    out.with_suffix(".pkl").write_bytes(pickle.dumps(plain, 0))
    return out.with_suffix(".pkl")


@layout
def json_dictionary(out, tracks, task):
    out.with_suffix(".json").write_text(
        json.dumps({t: np.float64(v).round(6).tolist() for t, v in tracks.items()})
    )
    return out.with_suffix(".json")


@layout
def json_records(out, tracks, task):
    table = whole(tracks, task, ("video", "frame"))
    out.with_suffix(".json").write_text(table.to_json(orient="records"))
    return out.with_suffix(".json")


@layout
def matlab(out, tracks, task):
    from scipy.io import savemat

    return per_track(out, tracks, lambda p, v: savemat(p, {"scores": v}), ".mat")


@layout
def folders_of_folds(out, tracks, task):
    for k, (track, values) in enumerate(tracks.items()):
        folder = out / f"fold_{k}"
        folder.mkdir(parents=True)
        frame(values, task).to_csv(folder / f"{track}.csv", index=False)
    return out


@layout
def folds_of_own_h5(out, tracks, task):
    for k, (track, values) in enumerate(tracks.items()):
        write_scores(out / f"fold_{k}" / "scores_validation.h5", Scores(TASKS[task], {track: values}))
    return out


@layout
def folder_per_track(out, tracks, task):
    for track, values in tracks.items():
        (out / track).mkdir(parents=True)
        np.save(out / track / "predictions.npy", values)
    return out


@layout
def folder_of_frames_npy(out, tracks, task):
    for track, values in tracks.items():
        (out / track).mkdir(parents=True)
        for k, row in enumerate(values):
            np.save(out / track / f"frame_{k + 1}.npy", row)
    return out


@layout
def folder_of_frames_txt_0(out, tracks, task):
    for track, values in tracks.items():
        (out / track).mkdir(parents=True)
        for k in range(len(values)):
            frame(values[k : k + 1], task).to_csv(
                out / track / f"{k:05d}.txt", index=False, header=False, sep=" "
            )
    return out


@layout
def rubbish_beside(out, tracks, task):
    headerless_text(out, tracks, task)
    (out / "README.txt").write_text("Scores of our model.\nTwo lines, of words.\n")
    (out / ".DS_Store").write_bytes(b"\0\1")
    (out / "Thumbs.db").write_bytes(b"\0\1")
    (out / "__MACOSX").mkdir()
    (out / "__MACOSX" / "._102.txt").write_bytes(b"\0\1")
    (out / "notes.md").write_text("x")
    return out


@layout
def mixed_extensions(out, tracks, task):
    out.mkdir()
    writers = [
        (lambda p, v: frame(v, task).to_csv(p, index=False), ".csv"),
        (np.save, ".npy"),
        (lambda p, v: frame(v, task).to_csv(p, index=False, header=False, sep=" "), ".txt"),
    ]
    for (track, values), (write, suffix) in zip(tracks.items(), writers, strict=True):
        write(out / f"{track}{suffix}", values)
    return out


@layout
def json_frames_in_tracks(out, tracks, task):
    names = TASKS[task].columns
    nested = {
        t: {
            str(k): dict(zip(names, np.float64(row).round(6).tolist(), strict=True))
            for k, row in enumerate(v)
        }
        for t, v in tracks.items()
    }
    out.with_suffix(".json").write_text(json.dumps(nested))
    return out.with_suffix(".json")


@layout
def json_pictures(out, tracks, task):
    names = TASKS[task].columns
    flat = {
        f"{t}/{k + 1:05d}.jpg": dict(zip(names, np.float64(row).round(6).tolist(), strict=True))
        for t, v in tracks.items()
        for k, row in enumerate(v)
    }
    out.with_suffix(".json").write_text(json.dumps(flat))
    return out.with_suffix(".json")
