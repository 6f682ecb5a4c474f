"""Directions from activations: values worked out by hand and by numpy's own linear algebra."""

import math

import numpy as np
import pytest

from steerability.learn.controls import random_directions
from steerability.learn.directions import (
    Learnt,
    auroc,
    cosines,
    mean_difference,
    principal_component,
)
from steerability.learn.ordered import norms, products, total


def sides(pairs: int = 9, blocks: int = 3, width: int = 20, seed: int = 1):
    generator = np.random.default_rng(seed)
    shift = generator.standard_normal((blocks, width))
    a, b = generator.standard_normal((2, pairs, blocks, width))
    return a + shift, b


def test_ordered_sums_are_those_of_linear_algebra():
    generator = np.random.default_rng(0)
    left, right = generator.standard_normal((7, 5)), generator.standard_normal((5, 3))
    np.testing.assert_allclose(products(left, right), left @ right, rtol=1e-13)
    np.testing.assert_allclose(total(left), left.sum(0), rtol=1e-12)
    np.testing.assert_allclose(norms(left), np.linalg.norm(left, axis=1), rtol=1e-14)


def test_the_mean_difference_by_hand():
    a = np.array([[[1.0, 2.0]], [[3.0, 0.0]]])
    b = np.array([[[0.0, 0.0]], [[2.0, -4.0]]])
    assert mean_difference(a, b).tolist() == [[1.0, 3.0]]


def test_the_component_is_that_of_a_singular_value_decomposition():
    a, b = sides()
    found = principal_component(a, b)
    for block in range(3):
        differences = a[:, block] - b[:, block]
        _, values, rows = np.linalg.svd(differences - differences.mean(0))
        assert values[0] > values[1]
        assert abs(found[block] @ rows[0]) == pytest.approx(1, abs=1e-9)
        assert np.linalg.norm(found[block]) == pytest.approx(1, abs=1e-12)


def test_the_component_points_where_most_pairs_do():
    """Differences 5, 1, 2 and -4 along the first axis: three of four point ahead."""
    a = np.array([[[5.0, 0.0]], [[1.0, 0.0]], [[2.0, 0.0]], [[-4.0, 0.0]]])
    b = np.zeros_like(a)
    assert principal_component(a, b).tolist() == [[1.0, 0.0]]
    assert principal_component(b, a).tolist() == [[-1.0, 0.0]]


def test_of_a_tie_the_mean_decides():
    a = np.array([[[5.0]], [[-1.0]]])
    assert principal_component(a, np.zeros_like(a)).tolist() == [[1.0]]
    assert principal_component(-a, np.zeros_like(a)).tolist() == [[-1.0]]


def test_pairs_that_differ_all_alike_have_no_component():
    a = np.ones((4, 2, 3)) * np.array([0.1, 0.7, -0.3])
    assert not principal_component(a, np.zeros_like(a)).any()


def test_the_area_under_the_curve_by_hand():
    high, low = np.array([3.0, 1.0]), np.array([2.0, 1.0, 0.0])
    assert auroc(high, low) == pytest.approx((3 + 1.5) / 6)
    assert auroc(low, low) == 0.5
    assert auroc(np.array([9.0]), low) == 1.0


def test_cosines_by_hand():
    left = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    right = np.array([[0.0, 2.0], [3.0, 0.0], [1.0, 1.0]])
    np.testing.assert_allclose(cosines(left, right), [0, math.sqrt(0.5), 0], atol=1e-15)


@pytest.mark.parametrize(("method", "other"), [("mean", "pca"), ("pca", "mean")])
def test_facts_of_every_layer(method, other):
    a, b = sides()
    learnt = Learnt.of(method, a, b)
    second = Learnt.of(other, a, b)
    facts = learnt.facts(range(1, 3))
    assert [fact["layer"] for fact in facts] == [1, 2]
    for fact in facts:
        block = fact["layer"]
        row, length = learnt.rows[block], np.linalg.norm(learnt.rows[block])
        both = np.concatenate([a[:, block], b[:, block]])
        size = np.linalg.norm(both, axis=1).mean()
        alike = row @ second.rows[block] / length / np.linalg.norm(second.rows[block])
        high, low = a[:, block] @ row, b[:, block] @ row
        assert fact["norm"] == pytest.approx(length, abs=1e-6)
        assert fact["activation_norm"] == pytest.approx(size, abs=1e-6)
        assert fact["share"] == pytest.approx(length / size, abs=1e-6)
        assert fact["cosine_to_other"] == pytest.approx(alike, abs=1e-6)
        wanted = np.mean([[x > y for y in low] for x in high])
        assert fact["auroc"] == pytest.approx(wanted, abs=1e-6)
    beside = learnt.rows[1] @ learnt.rows[2] / np.prod(norms(learnt.rows[1:]))
    assert facts[0]["cosine_to_next"] == pytest.approx(beside, abs=1e-6)
    assert facts[1]["cosine_to_next"] is None


def test_random_directions_are_as_long_and_of_their_seed():
    rows = np.concatenate([np.zeros((1, 50)), sides(width=50)[0][0]])
    found = random_directions(rows, 20, seed=3)
    assert len(found) == 20
    for drawn in found:
        np.testing.assert_allclose(norms(drawn), norms(rows), atol=1e-12)
        assert not drawn[0].any()
    again = random_directions(rows, 5, seed=3)
    assert all(np.array_equal(one, other) for one, other in zip(again, found, strict=False))
    assert not np.array_equal(random_directions(rows, 1, seed=4)[0], found[0])
    alike = [cosines(one[1:], other[1:]) for one in found for other in found if one is not other]
    assert np.abs(np.mean(alike)) < 0.05 and np.abs(alike).max() < 0.75
