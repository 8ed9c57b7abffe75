import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from skpoison import SphereFilter
from skpoison.feasible import Columns, Domain, as_domain

TEXTS = ["good film", "bad film", "good good actors", "the film was bad, bad, bad"]


@pytest.mark.parametrize(
    ("kind", "inside", "outside"),
    [
        ("real", [-3.5, 0.0], None),
        ("nonnegative", [0.0, 2.5], [-0.1, 1.0]),
        ("count", [0.0, 7.0], [0.0, 7.5]),
        ("count", [1.0, 2.0], [-1.0, 2.0]),
        ("binary", [0.0, 1.0], [0.0, 2.0]),
        ("tfidf", [0.6, 0.8], [0.6, 0.7]),
        ("tfidf", [0.0, 1.0], [-0.6, 0.8]),
        ("tfidf", [0.0, 0.0], [0.0, 0.1]),
    ],
)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_each_kind_holds_its_rows_only(kind, inside, outside, container):
    assert Domain(kind).contains(container([inside, inside])).all()
    if outside is not None:
        rows = container([outside, inside])
        assert Domain(kind).contains(rows).tolist() == [False, True]


def test_rows_of_vectorizers_are_in_their_domains():
    counts = CountVectorizer().fit_transform(TEXTS)
    assert Domain("count").contains(counts).all()
    assert not Domain("binary").contains(counts).all()
    vectorizer = TfidfVectorizer().fit(TEXTS)
    for texts in (TEXTS, [*TEXTS, "unheard-of"]):
        assert Domain("tfidf").contains(vectorizer.transform(texts)).all()


def test_sparse_rows_are_judged_as_dense_ones_are():
    rng = np.random.default_rng(0)
    domains = [
        Domain("count", upper=2),
        Domain("real", lower=[-1, 0, 1, -np.inf], upper=[1, 2, 3, 4]),
        Domain(["count", "real", "binary", "nonnegative"], groups=[[2, 3]]),
        Domain({0: "tfidf", 3: "tfidf"}, upper={1: 1}),
    ]
    for domain in domains:
        X = rng.integers(0, 3, (300, 4)) * rng.choice([1.0, 1.0, 0.5], (300, 4))
        dense = domain.contains(X)
        assert dense.any() and not dense.all()
        np.testing.assert_array_equal(domain.contains(sparse.csr_matrix(X)), dense)


def test_bounds_narrow_each_kind():
    columns = Domain("count", lower=0.5, upper=[2.5, 9.0]).resolve(2)
    assert columns.lower.tolist() == [1.0, 1.0]
    assert columns.upper.tolist() == [2.0, 9.0]
    assert Domain("nonnegative", lower=-3).resolve(1).lower.tolist() == [0.0]
    assert Domain("binary", upper=7).resolve(1).upper.tolist() == [1.0]


def test_columns_may_be_named_and_the_others_are_real():
    frame = pd.DataFrame({"age": [31.5], "visits": [2], "red": [0], "blue": [1]})
    domain = Domain({"visits": "count"}, {"age": 0}, groups=[["red", "blue"]])
    columns = domain.resolve(4, frame.columns)
    assert columns.whole.tolist() == [False, True, False, False]
    assert columns.lower.tolist() == [0.0, 0.0, 0.0, 0.0]
    assert domain.contains(frame).tolist() == [True]
    assert domain.contains(frame + 0.5).tolist() == [False]


def test_one_member_of_a_group_is_one():
    domain = Domain(groups=[[0, 2]])
    rows = [[1, 5.5, 0], [0, 5.5, 1], [1, 5.5, 1], [0, 5.5, 0], [0.5, 5.5, 0.5]]
    assert domain.contains(rows).tolist() == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("domain", "convex", "bounded", "free"),
    [
        (Domain(), True, False, True),
        (Domain("nonnegative"), True, False, False),
        (Domain("nonnegative", upper=2), True, True, False),
        (Domain("count"), False, False, False),
        (Domain("binary"), False, True, False),
        (Domain("tfidf"), False, True, False),
        (Domain(groups=[[0, 1, 2]]), False, True, False),
    ],
)
def test_shape_of_domains(domain, convex, bounded, free):
    columns = domain.resolve(3)
    assert (columns.is_convex, columns.is_bounded, columns.is_free) == (
        convex,
        bounded,
        free,
    )


def test_as_domain():
    assert as_domain(None).kind == "real"
    assert as_domain("tfidf").kind == "tfidf"
    domain = Domain("count")
    assert as_domain(domain) is domain
    with pytest.raises(ValueError, match=r"must be one of .*'count'.*got 'words'"):
        as_domain("words")
    with pytest.raises(TypeError, match="a Domain or None; got 3"):
        as_domain(3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "words"}, "kind .* must be one of .*got .*words"),
        ({"kind": ["count"] * 2}, r"kind .* has shape \(2,\); X has 3 features"),
        ({"lower": [0, 1]}, r"lower .* has shape \(2,\)"),
        ({"lower": np.nan}, "lower of the domain must not contain NaN"),
        ({"kind": {"age": "count"}}, "'age', which is neither.*no feature names"),
        ({"upper": {7: 1}}, "contains the column 7"),
        ({"lower": 2, "upper": 1}, "empty: no value of column 0"),
        ({"kind": "count", "lower": 0.2, "upper": 0.8}, "no value of column 0"),
        ({"lower": np.inf}, "no value of column 0"),
        ({"groups": [[0, 1], [1, 2]]}, "must not share or repeat columns"),
        ({"groups": [[]]}, "an empty group"),
        ({"groups": [[0, 1]], "upper": 0.5}, "must allow 0 and 1"),
        ({"kind": "tfidf", "upper": 0.5}, "cannot have other bounds"),
        ({"kind": "tfidf", "groups": [[0, 1]]}, "tfidf.* one-hot"),
    ],
)
def test_domains_that_make_no_sense(arguments, message):
    with pytest.raises(ValueError, match=message):
        Domain(**arguments).resolve(3)


@pytest.mark.parametrize("groups", [[0, 1], ["ab"]])
def test_groups_are_lists_of_lists(groups):
    with pytest.raises(TypeError, match=f"list of lists.* got the group {groups[0]!r}"):
        Domain(groups=groups).resolve(3)


def test_names_must_agree_with_the_number_of_features():
    with pytest.raises(ValueError, match="2 feature names were given for 3"):
        Domain().resolve(3, ["a", "b"])
    with pytest.raises(ValueError, match="the domain has 2 features"):
        Domain().resolve(2).contains([[1.0, 2.0, 3.0]])
    assert isinstance(Domain().resolve(2), Columns)


def test_domains_are_estimator_parameters():
    domain = Domain("count", upper={"word": 3})
    copied = clone(SphereFilter(radii=domain)).radii
    assert repr(copied) == repr(domain) == "Domain(kind='count', upper={'word': 3})"
