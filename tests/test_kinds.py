"""The kinds of labels: what each says of the same few rows, against numbers worked out by hand."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from abaw_submit.decisions import Decision
from abaw_submit.kinds import KINDS
from abaw_submit.tasks import AH, AU, EXPR, MTL, TASKS, VA

BINARY, CATEGORICAL, CONTINUOUS = (KINDS[d] for d in (Decision.THRESHOLD, Decision.ARGMAX, Decision.CLIP))


def test_every_task_but_mtl_has_a_kind():
    assert [t.kind for t in (AU, EXPR, VA, AH)] == [BINARY, CATEGORICAL, CONTINUOUS, BINARY]
    assert [part.kind for part in MTL.parts] == [CONTINUOUS, CATEGORICAL, BINARY]


def test_statistics_add_over_rows_and_give_the_score():
    rng = np.random.default_rng(0)
    labels = {
        "AU": rng.integers(0, 2, (2, 50, 12)),
        "EXPR": rng.integers(0, 8, (2, 50, 1)),
        "VA": rng.uniform(-1, 1, (2, 50, 2)),
    }
    for task in TASKS.values():
        truth, said = labels[task.name]
        whole = task.kind.statistics(truth, said, task.outputs)
        parts = [task.kind.statistics(truth[k::3], said[k::3], task.outputs) for k in range(3)]
        np.testing.assert_allclose(sum(parts), whole)
        assert task.kind.rows(whole) == 50
    truth, said = labels["EXPR"]
    stats = CATEGORICAL.statistics(truth, said, 8)
    expected = f1_score(truth[:, 0], said[:, 0], average=None, labels=range(8), zero_division=0)
    np.testing.assert_allclose(CATEGORICAL.per_output(stats), expected)
    assert CATEGORICAL.right(stats) / 50 == accuracy_score(truth[:, 0], said[:, 0])
    truth, said = labels["AU"]
    assert BINARY.right(BINARY.statistics(truth, said, 12)) == (truth == said).sum()


@pytest.mark.parametrize(
    ("task", "right", "wrong"),
    [
        (AU, [[0, 1, -1] * 4], [[0, 1, 2] * 4]),
        (EXPR, [[7]], [[8]]),
        (VA, [[-1, 0.25]], [[1.5, 0]]),
        (VA, [[-5, -5]], [[-2, 0]]),
    ],
)
def test_what_an_annotation_may_be(task, right, wrong):
    columns, invalid = task.columns, task.invalid
    assert task.kind.width(columns) == task.label_columns == np.shape(right)[1]
    assert task.kind.fits(np.array(right, float), columns, invalid).all()
    assert not task.kind.fits(np.array(wrong, float), columns, invalid).all()
    assert f"{invalid:g} for invalid" in task.kind.expected(columns, invalid)


def test_the_grammar_of_a_row():
    assert VA.kind.grammar(VA.columns) == (VA.columns, (), ())
    assert EXPR.kind.grammar(EXPR.columns) == ((), (("expression", 7),), EXPR.columns)
    assert AU.kind.grammar(("AU1", "AU2")) == ((), (("AU1", 1), ("AU2", 1)), ())


def test_priors_and_occurrences():
    assert EXPR.kind.prior(np.array([[0.0], [0.0], [4.0], [0.0]]), 8).tolist() == [
        0.75,
        0,
        0,
        0,
        0.25,
        0,
        0,
        0,
    ]
    assert AU.kind.prior(np.array([[1.0, 0.0], [1.0, 1.0]]), 2).tolist() == [1.0, 0.5]
    assert VA.kind.occurrences(np.array([[-1.0, 0.0], [1.0, 0.1]]), 2).tolist() == [
        1,
        0,
        0,
        0,
        1,
        0,
        0,
        2,
        0,
        0,
    ]
    for task in TASKS.values():
        assert len(task.kind.occurrence_names(task.columns)) == len(
            task.kind.occurrences(np.zeros((1, task.label_columns)), task.outputs)
        )


def test_agreement_and_change():
    one, other = np.array([[0.1, 0.2], [0.1, 0.2]]), np.array([[0.1, 0.24], [0.1, 0.3]])
    assert VA.kind.changed(one, other).tolist() == [False, True]
    assert VA.kind.agreement(one, one) == 1.0
    assert VA.kind.agreement(one, other) == 0.0  # a constant explains nothing
    assert AU.kind.agreement(np.array([[0, 1]]), np.array([[1, 1]])) == 0.5
    assert AU.kind.changed(np.array([[0, 1], [1, 1]]), np.array([[1, 1], [1, 1]])).tolist() == [True, False]


def test_the_best_constant_of_each_kind():
    """All action units, the most frequent class, the mean."""
    assert AU.kind.constant(np.zeros((3, 12))).tolist() == [1.0] * 12
    assert EXPR.kind.constant(np.array([[4], [2], [4]])).tolist() == [4.0]
    assert VA.kind.constant(np.array([[0.5, -1.0], [0.1, 0.0]])).tolist() == [0.3, -0.5]
