"""The words people put over columns, keys and groups, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Callable

from abaw_submit.tasks import AU_COLUMNS, EXPR_COLUMNS, Task

LOCATION, TRACK, FRAME, TIME, INDEX = "location", "track", "frame", "time", "index"
START, END, VALID, CONFIDENCE, FACE = "start", "end", "valid", "confidence", "face"

_ROLES = {
    LOCATION: "imagelocation image img imagepath imgpath imagename imgname imagefile path file filename"
    " filepath framepath framename location picture frames images imgs imagelist imglist filelist list paths",
    TRACK: "video videoname videoid videofile vid vidname track trackname name clip clipname clipid sequence"
    " sequencename seq subject subjectid tracks videos names videonames clips",
    FRAME: "frame frameid frameidx frameindex framenumber frameno framenum framenr fid row rownumber imageid"
    " frameids framenumbers",
    TIME: "time times timestamp timestamps frametime frametimeinms ts t sec secs second seconds ms"
    " millisecond milliseconds",
    INDEX: "index idx id unnamed0",
    START: "start starts begin onset from starttime begintime starts startsec startms startframe framestart"
    " firstframe",
    END: "end ends stop offset to endtime stoptime endsec endms endframe frameend lastframe",
    VALID: "success valid isvalid found detected",
    CONFIDENCE: "confidence conf detscore faceconfidence",
    FACE: "faceid face person personid",
}
ROLE_OF = {word: role for role, words in _ROLES.items() for word in words.split()}
TEXT_ROLES = (LOCATION, TRACK)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# what an array of scores, of truth, of lengths is called where several lie side by side
SCORE_WORDS = _words(
    "scores score pred preds prediction predictions probs prob probabilities probability logits logit output"
    " outputs ypred yhat values value data arr0 result results"
)
FEATURE_WORDS = _words("features feature feats feat embeddings embedding embeds vectors vector x")
TRUTH_WORDS = _words("label labels truth groundtruth gt target targets ytrue annotation annotations y yt")
MASK_WORDS = _words("mask masks padmask paddingmask attentionmask validmask valid isvalid")
LENGTH_WORDS = _words("lengths length lens len counts numframes nframes framecounts rows sizes")
META_WORDS = _words("meta metadata metainfo config cfg args info settings hyperparameters hparams params")
LABEL_WORDS = _words(
    "expression expr label labels pred preds prediction predictions predicted class emotion ypred emotions"
    " predictedlabel predlabel expressions predictedclass predclass"
)
_EXPR_WORDS = {
    "neutral": "Neutral", "neutrality": "Neutral", "neu": "Neutral",
    "anger": "Anger", "angry": "Anger", "ang": "Anger",
    "disgust": "Disgust", "disgusted": "Disgust", "dis": "Disgust",
    "fear": "Fear", "fearful": "Fear", "fea": "Fear", "afraid": "Fear",
    "happiness": "Happiness", "happy": "Happiness", "hap": "Happiness", "joy": "Happiness",
    "sadness": "Sadness", "sad": "Sadness",
    "surprise": "Surprise", "surprised": "Surprise", "sur": "Surprise",
    "other": "Other", "others": "Other", "oth": "Other",
}  # fmt: skip
_VA_WORDS = {
    "valence": "valence", "val": "valence", "v": "valence",
    "arousal": "arousal", "aro": "arousal", "ar": "arousal", "a": "arousal",
}  # fmt: skip
_AFFIX = (
    "prob", "probs", "probability", "p", "pred", "preds", "predicted", "prediction", "score", "scores",
    "logit", "logits", "out", "output", "hat", "mean", "va", "expr", "emotion",
)  # fmt: skip
_NOT_SCORES = _words("gt true truth label labels target annotation annotated std var sd")
_WORD = re.compile(r"[a-z]+|\d+")
_AU = re.compile(r"(?:au)?0*(\d+)(?:r|p)?")


def plain(name: str) -> str:
    """A name in lower case, letters and digits only.

    >>> plain("# Image_Location")
    'imagelocation'
    """
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def role_of(name: str) -> str | None:
    """What a column is for beside scores, by its name; None if the name says nothing known."""
    return ROLE_OF.get(plain(name)) if name.strip() else INDEX


def output_of(name: str, task: Task) -> str | None:
    """The task's output that a column name means; None if it means none.

    Truth and spread ("valence_gt", "valence_std") are not scores.

    >>> from abaw_submit.tasks import AU, VA
    >>> output_of("pred_valence", VA), output_of("AU06", AU), output_of("valence_gt", VA)
    ('valence', 'AU6', None)
    """
    words = _WORD.findall(re.sub(r"([a-z])([A-Z])", r"\1_\2", name.strip()).casefold())
    if _NOT_SCORES & set(words):
        return None
    kept = [word for word in words if word not in _AFFIX] if len(words) > 1 else words
    named = _BY_TASK.get(task.name)
    if named is not None:
        return named(kept)
    return next((column for column in task.columns if plain(column) == "".join(kept)), None)


def _action_unit(words: list[str]) -> str | None:
    words = words[1:] if words[:2] == ["au", "au"] else words
    match = _AU.fullmatch("".join(words)) if words and words[0].startswith("au") else None
    found = f"AU{match[1]}" if match else None
    return found if found in AU_COLUMNS else None


# how a name is read, where a task's outputs go by more than their own names
_BY_TASK: dict[str, Callable[[list[str]], str | None]] = {
    "AU": _action_unit,
    "EXPR": lambda words: _EXPR_WORDS.get(words[0]) if len(words) == 1 else None,
    "VA": lambda words: _VA_WORDS.get(words[0]) if len(words) == 1 else None,
}


def class_of(text: str) -> int | None:
    """The class number of an expression's name.

    >>> class_of("Happy"), class_of("Contempt")
    (4, None)
    """
    found = _EXPR_WORDS.get(plain(text))
    return EXPR_COLUMNS.index(found) if found is not None else None


def looks_named(name: str, task: Task | None) -> bool:
    """Whether a word is one people put over a column."""
    if not name.strip():
        return False
    if role_of(name) is not None or plain(name) in SCORE_WORDS | FEATURE_WORDS | TRUTH_WORDS | LABEL_WORDS:
        return True
    return task is not None and output_of(name, task) is not None
