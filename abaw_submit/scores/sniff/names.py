"""Names of tracks and frames as people write them into paths, keys and columns."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import PurePath, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from abaw_submit.arrays import Index
from abaw_submit.corpus.tracks import VIDEO_SUFFIXES
from abaw_submit.errors import UserError

_FILE_SUFFIXES = (
    *VIDEO_SUFFIXES,
    ".wav",
    ".txt",
    ".csv",
    ".tsv",
    ".npy",
    ".npz",
    ".h5",
    ".hdf5",
    ".pkl",
    ".pickle",
    ".json",
    ".jsonl",
    ".parquet",
    ".feather",
    ".mat",
    ".pt",
    ".pth",
)
_PICTURE = re.compile(r"\.(jpe?g|png|bmp|webp|tiff?)$", re.IGNORECASE)
_WORK = re.compile(
    r"[_.-](feat|feats|features?|scores?|preds?|predictions?|probs?|probabilities|logits|output|outputs|result|results"
    r"|embeddings?|emb|va|expr|au)$",
    re.IGNORECASE,
)
_WORK_FRONT = re.compile(
    r"^(feats?|features?|scores?|preds?|predictions?|probs?|logits|outputs?|results?|emb|embeddings?)[_-]",
    re.IGNORECASE,
)
_FRAME = re.compile(r"(.*?)(\d+)$")
_FLAT = re.compile(r"(.+?)[_-](\d{4,})")
_GENERIC = re.compile(
    r"((all|my|final|scores?|predictions?|preds?|probs?|oof|out_of_fold|test|val|valid|validation|train|official|fold"
    r"|data|values|array|arr|output|outputs|results?|features?|va|au|expr|logits|submission)[_.-]?)+(\d[_.-]?)?",
    re.IGNORECASE,
)


def is_generic(name: str) -> bool:
    """Whether a name says what is in a file and not which track it is.

    >>> is_generic("val_predictions"), is_generic("fold_0"), is_generic("102")
    (True, True, False)
    """
    return _GENERIC.fullmatch(name) is not None


def stem_of(path: PurePath) -> str:
    """A file's name without its suffix; `24-29.97-1920x1080` has none.

    >>> stem_of(PurePath("a/24-29.97-1920x1080")), stem_of(PurePath("102.npy"))
    ('24-29.97-1920x1080', '102')
    """
    return path.stem if re.fullmatch(r"\.[A-Za-z][A-Za-z0-9]{0,8}", path.suffix) else path.name


def without_suffix(name: str) -> str:
    """A track's name without the suffix of a media or data file.

    >>> without_suffix("video2.mp4"), without_suffix("24-29.97-1920x1080")
    ('video2', '24-29.97-1920x1080')
    """
    lower = name.lower()
    for suffix in _FILE_SUFFIXES:
        if lower.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def track_names(names: Sequence[str], known: Collection[str] | None = None) -> tuple[list[str], str]:
    """The tracks that names mean: suffixes of files and of kinds of work (`_feat`) are taken off.

    An ending such as `_feat` goes only if every name has the same one, or if the official names say so.

    Args:
        names: distinct names as written.
        known: official names, if there are any.

    Returns:
        The tracks, in the same order, and what was taken off ("" for nothing).

    Raises:
        UserError: two names become one track, or a name no file could have.
    """
    plain = [without_suffix(_last_part(name, known)) for name in names]
    taken = [".mp4 and the like"] if plain != list(names) else []
    for mark in (_WORK, _WORK_FRONT) * 2:
        marks = {(m[0] if (m := mark.search(name)) else "") for name in plain}
        if len(marks) == 1 and "" not in marks and not (known and set(plain) & set(known)):
            plain = [without_suffix(mark.sub("", name)) for name in plain]
            taken.append(marks.pop())
    if known:
        official = [known_track(name, known) or name for name in plain]
        taken += sorted({p.replace(n, "") for p, n in zip(plain, official, strict=True) if p != n})[:1]
        plain = official
    seen: dict[str, str] = {}
    for name, given in zip(plain, names, strict=True):
        check_name(name)
        if name in seen:
            raise UserError(
                f"Track {name} comes twice, as {seen[name]} and as {given}. Leave one of them out."
            )
        seen[name] = given
    return plain, " and ".join(taken)


def known_track(name: str, known: Collection[str]) -> str | None:
    """The official track that a name means, with or without endings such as `_feat.npy`; None if it is none.

    >>> known_track("video2.mp4_feat", {"video2"}), known_track("video3", {"video2"})
    ('video2', None)
    """
    for _ in range(6):
        if name in known:
            return name
        shorter = without_suffix(_WORK.sub("", name))
        shorter = shorter if shorter != name else _WORK_FRONT.sub("", name)
        if shorter == name:
            return None
        name = shorter
    return None


def _last_part(name: str, known: Collection[str] | None) -> str:
    """A name without the folders in front of it: `/data/videos/102.mp4` is of track 102."""
    if known and name in known:
        return name
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2]


def check_name(name: str) -> None:
    """Refuse names that cannot be a track's: no official file could hold them.

    Raises:
        UserError: says which.
    """
    shown = name.encode("utf-8", "backslashreplace").decode()[:80]
    why = ""
    if not name or name in (".", ".."):
        why = "no name"
    elif any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        why, shown = "a line break or another control character in it", repr(name)[1:81]
    elif "/" in name or "\\" in name:
        why = "a slash in it"
    elif name != name.strip():
        why = "a space at its edge"
    elif len(name.encode("utf-8", "surrogateescape")) > 240:
        why = "more than 240 bytes"
    else:
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            why = "bytes that are not UTF-8"
    if why:
        raise UserError(f'"{shown}" cannot be the name of a track: {why}. Rename it.')


def frame_number(stem: str) -> int | None:
    """The number at the end of a picture's name; None if there is none.

    >>> frame_number("frame_00012"), frame_number("00003.jpg"), frame_number("x")
    (12, 3, None)
    """
    match = _FRAME.fullmatch(_PICTURE.sub("", stem))
    return int(match[2]) if match and len(match[2]) < 10 else None


def split_locations(values: npt.NDArray[Any], where: str) -> tuple[npt.NDArray[Any] | None, Index]:
    """Tracks and frame numbers of picture locations such as `/data/video2/00001.jpg`.

    Args:
        values: (rows,) text.
        where: for messages.

    Returns:
        Tracks (rows,), or None where the locations name only frames, and frame numbers (rows,).

    Raises:
        UserError: a location without a frame number (named).
    """
    texts = [str(value).replace("\\", "/") for value in values]
    numbered = _official_numbers(texts)
    if numbered is not None:  # `…/00001.jpg` in every row
        return _folder_tracks(pd.Series([text[:-10] for text in texts], dtype=object), where), numbered
    split = [text.rpartition("/") for text in texts]
    folders = pd.Series([part[0] for part in split], dtype=object)
    heads: list[str] = []
    numbers = np.empty(len(texts), np.int64)
    for row, (_, _, last) in enumerate(split):
        stem = last[:-4] if last[-4:] in (".jpg", ".png") else _PICTURE.sub("", last)
        if stem.isdigit() and stem.isascii() and len(stem) < 10:
            numbers[row] = int(stem)
            heads.append("")
            continue
        match = _FRAME.fullmatch(stem)
        if match is None or len(match[2]) >= 10:
            raise UserError(f'{where}, row {row + 1}: "{texts[row][:60]}" has no frame number at its end.')
        numbers[row] = int(match[2])
        heads.append(match[1])
    if (folders != "").all():
        tracks = _folder_tracks(folders, where)
        loose = {head for head in set(heads) if head}
        if len(loose) > 1 and tracks is not None:
            rows = pd.Series(heads).groupby(tracks).nunique()
            if (rows > 1).any():
                raise UserError(
                    f"{where}: pictures of {rows.idxmax()} have names of several kinds"
                    f" ({', '.join(sorted(loose)[:3])}): which number is the frame's?"
                )
        return tracks, numbers
    if (folders != "").any():
        row = int(np.argmax((folders == "").to_numpy()))
        raise UserError(f'{where}, row {row + 1}: "{texts[row][:60]}" names no track, others do.')
    if not any(heads) or set(map(_bare, heads)) <= {"frame", "img", "image", "f", ""}:
        return None, numbers
    return _flat_tracks(texts, numbers, where), numbers


def _official_numbers(texts: Sequence[str]) -> Index | None:
    """The numbers of locations that all end in `/ddddd.jpg`, read as bytes at once; None if one does not."""
    if not texts or any(len(text) < 11 for text in texts):
        return None
    tails = np.frombuffer("".join([text[-10:] for text in texts]).encode("utf-8", "replace"), np.uint8)
    if len(tails) != 10 * len(texts):
        return None
    letters = tails.reshape(-1, 10)
    digits = letters[:, 1:6] - np.uint8(48)
    if (
        (letters[:, 0] != 47).any()
        or (digits > 9).any()
        or (letters[:, 6:] != np.frombuffer(b".jpg", np.uint8)).any()
    ):
        return None
    return np.asarray(digits.astype(np.int64) @ np.array([10_000, 1000, 100, 10, 1]))


def _bare(head: str) -> str:
    return head.strip("_- .").lower()


def _folder_tracks(folders: pd.Series[Any], where: str) -> npt.NDArray[Any]:
    codes, unique = pd.factorize(folders)
    paths = [PurePosixPath(folder).parts for folder in unique]
    depth = 1
    while len(paths) > 1 and len({part[-depth] for part in paths if len(part) >= depth}) == 1:
        depth += 1
        if any(len(part) < depth for part in paths):
            depth = 1
            break
    names = [part[-depth] for part in paths]
    if len(set(names)) != len(names):
        again = next(name for name in names if names.count(name) > 1)
        both = [folder for folder, name in zip(unique, names, strict=True) if name == again]
        raise UserError(f"{where}: track {again} lies in two folders, {both[0]} and {both[1]}.")
    return np.array(names, object)[codes]


def _flat_tracks(texts: Sequence[str], numbers: Index, where: str) -> npt.NDArray[Any]:
    """`video2_00001.jpg`: the track before the last underscore, if the number has four digits or more."""
    names = []
    for row, text in enumerate(texts):
        match = _FLAT.fullmatch(_PICTURE.sub("", text))
        if match is None or int(match[2]) != numbers[row]:
            raise UserError(f'{where}, row {row + 1}: "{text[:60]}"; expected <track>/<number>.jpg.')
        names.append(match[1])
    return np.array(names, object)
