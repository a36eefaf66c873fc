"""The three tasks as data, against the official grammars."""

import pytest

from abaw_submit.errors import UserError
from abaw_submit.tasks import AU, EXPR, VA, get_task


def test_headers_are_the_official_ones():
    assert VA.header() == "valence,arousal"
    assert EXPR.header() == "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"
    assert AU.header() == "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26"


def test_old_editions_had_fewer_columns():
    assert AU.header(1) == "AU1,AU2,AU4,AU6,AU12,AU15,AU20,AU25"
    assert AU.header(2) == AU.header(10)
    assert EXPR.header(2) == "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise"


def test_annotation_folders_changed_names():
    assert [EXPR.challenge_folder(e) for e in (1, 3, 5, 6)] == [
        "EXPR_Set",
        "EXPR_Classification_Challenge",
        "EXPR_Classification_Challenge",
        "EXPR_Recognition_Challenge",
    ]


def test_names_are_found_in_any_case_and_mistakes_get_a_suggestion():
    assert get_task("va") is VA
    assert get_task(AU) is AU
    with pytest.raises(UserError, match='Did you mean "EXPR"'):
        get_task("expression")
