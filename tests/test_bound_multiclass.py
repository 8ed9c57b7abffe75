"""The bound for learners of several classes, against conic programs and attacks."""

import warnings

import numpy as np
import pytest
from class_oracles import (
    ConicGame,
    class_loss,
    class_objective,
    class_rows,
    least_class_objective,
)
from oracles import labelled_rows
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.svm import LinearSVC

from skpoison import (
    CertifiedBound,
    NormConstrainedSVC,
    PoisonedClassifier,
    SlabFilter,
    SphereFilter,
    bound_curve,
)
from skpoison.attacks import MinMaxAttack
from skpoison.bounds import _multiclass, training_gap
from skpoison.bounds._objective import objective_of
from skpoison.evaluation import evaluate_attack
from skpoison.inspection import BoundDisplay
from skpoison.losses import Logistic, Squared, SquaredHinge
from skpoison.solvers._class_cells import bound_loss
from skpoison.solvers._class_images import Image, images
from skpoison.solvers._class_losses import CrammerSinger, Multinomial, OneVsRest
from skpoison.solvers._worst_class_rows import ascend, relaxed_loss, starts

FREE = np.inf
JOINT = LinearSVC(multi_class="crammer_singer", random_state=0)
# An estimator, its loss, the penalty beside the sum of losses (of n rows in training),
# and what its intercepts are divided by in the penalty.
LEARNERS = [
    (LogisticRegression(), "multinomial", lambda n: 1.0, FREE),
    (LogisticRegression(C=0.01), "multinomial", lambda n: 100.0, FREE),
    (LogisticRegression(fit_intercept=False), "multinomial", lambda n: 1.0, 0.0),
    (LinearSVC(C=0.1, random_state=0), "squared_hinge", lambda n: 10.0, 1.0),
    (
        LinearSVC(loss="hinge", intercept_scaling=3, random_state=0),
        "hinge",
        lambda n: 1.0,
        3.0,
    ),
    (
        LinearSVC(fit_intercept=False, random_state=0),
        "squared_hinge",
        lambda n: 1.0,
        0.0,
    ),
    (JOINT, "crammer_singer", lambda n: 1.0, 1.0),
    (RidgeClassifier(), "squared", lambda n: 1.0, FREE),
    (SGDClassifier(alpha=0.01), "hinge", lambda n: 0.01 * n, FREE),
    (SGDClassifier("log_loss", alpha=0.1), "log_loss", lambda n: 0.1 * n, FREE),
    (
        SGDClassifier("modified_huber", alpha=0.01),
        "modified_huber",
        lambda n: 0.01 * n,
        FREE,
    ),
]
each_learner = pytest.mark.parametrize("learner", LEARNERS, ids=lambda one: str(one[0]))
# Those whose own solver in scikit-learn reaches any tolerance.
EXACT = {"tol": 1e-9, "max_iter": 100_000}
PRECISE = [
    (LogisticRegression(tol=1e-9, max_iter=5000), *LEARNERS[0][1:]),
    (LinearSVC(C=0.1, random_state=0, **EXACT), *LEARNERS[3][1:]),
    (clone(JOINT).set_params(random_state=0, max_iter=10_000), *LEARNERS[6][1:]),
    (RidgeClassifier(solver="cholesky"), *LEARNERS[7][1:]),
]
KINDS = ("gaussian", "whole numbers", "duplicates", "constant feature")
EPSILONS = (0.05, 0.2, 0.5, 1.0)


def sphere_and_slab(percentile=70):
    return SphereFilter(percentile) & SlabFilter(percentile)


def problem(seed):
    X, y = class_rows(seed, KINDS[seed % 4], gap=(1.0, 0.3, 2.0)[seed % 3])
    return X, y, EPSILONS[seed % 4]


def fitted_bound(learner, seed, **options):
    X, y, epsilon = problem(seed)
    options = {"tol": 1e-6, "random_state": 0, **options}
    bound = CertifiedBound(sphere_and_slab(), epsilon, estimator=learner[0], **options)
    return bound.fit(X, y), X, y, epsilon


@each_learner
@pytest.mark.parametrize("seed", [0, 1])
def test_bounds_agree_with_conic_programs(seed, learner):
    _, loss, penalty, intercept = learner
    bound, X, y, epsilon = fitted_bound(learner, seed)
    n_trained = len(X) + int(epsilon * len(X) + 1e-9)
    game = ConicGame(
        X,
        y,
        bound.filter_.feasible_set().sets,
        epsilon,
        loss=loss,
        penalty=penalty(n_trained) / len(X),
        intercept=intercept,
    )
    found = bound.attack_
    lower, upper = game.solve(list(zip(found.X, found.y, strict=True)))
    assert bound.upper_bound_ == pytest.approx(upper, abs=1e-5)
    assert bound.lower_bound_ == pytest.approx(lower, abs=1e-5)
    assert bound.lower_bound_ <= upper + 1e-7
    assert bound.upper_bound_ >= lower - 1e-7
    assert bound.converged_ and bound.is_exact_


@each_learner
def test_the_bound_is_that_of_its_parameters(learner):
    _, loss, penalty, intercept = learner
    bound, X, y, epsilon = fitted_bound(learner, 4)
    W, b = bound.coef_, bound.intercept_
    clean = class_loss(loss, X @ W.T + b, y).mean()
    assert bound.clean_loss_ == pytest.approx(clean)
    n_trained = len(X) + int(epsilon * len(X) + 1e-9)
    upper = class_objective(loss, W, b, X, y, len(X), penalty(n_trained), intercept)
    upper += epsilon * bound.poison_loss_
    assert bound.upper_bound_ == pytest.approx(upper, rel=1e-6)
    assert bound.upper_bound_ >= upper
    rng, worst = np.random.default_rng(0), 0.0
    for code, region in enumerate(bound.filter_.feasible_set().sets):
        rows = np.array([region.support(a)[1] for a in rng.normal(size=(3000, 4))])
        losses = class_loss(loss, rows @ W.T + b, np.full(3000, code))
        worst = max(worst, losses.max())
    assert 0.95 * bound.poison_loss_ < worst <= bound.poison_loss_
    assert (intercept == 0.0) == (not b.any())


LOSSES = [
    Multinomial(),
    CrammerSinger(),
    OneVsRest(Squared()),
    OneVsRest(SquaredHinge()),
    OneVsRest(Logistic()),
]


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_worst_rows_are_bounded_tightly_on_a_grid(loss):
    """In two dimensions, a fine grid of the boundary leaves out little."""
    X, y = class_rows(3, n_features=2, n_classes=4)
    sets = sphere_and_slab().fit(X, y).feasible_set().sets
    theta = np.random.default_rng(1).normal(size=(4, 3))
    angles = np.linspace(0.0, 2.0 * np.pi, 4000)
    towards = np.column_stack([np.cos(angles), np.sin(angles)])
    for code, image in enumerate(images(sets, theta)):
        rows = np.array([sets[code].support(a)[1] for a in towards])
        scores = rows @ theta[:, :-1].T + theta[:, -1]
        on_grid = loss.value(scores, np.full(len(rows), code)).max()
        found = ascend(loss, image, code, starts(loss, code, 4)).losses[0]
        bound = bound_loss(loss, image, code, 1.001 * on_grid).bound
        assert on_grid <= bound <= 1.0011 * on_grid
        assert found == pytest.approx(on_grid, rel=1e-4)
        assert bound <= relaxed_loss(loss, image, code)
        few = bound_loss(loss, image, code, 0.0, max_cells=4).bound
        assert few >= on_grid * (1.0 - 1e-12)
        early = bound_loss(loss, image, code, 0.5 * on_grid, stops_at_row=True)
        assert early.bound >= on_grid * (1.0 - 1e-12)
        late = bound_loss(loss, image, code, 1.001 * on_grid, stops_at_row=True)
        assert late.bound == bound


def test_scores_of_balls_and_slabs_are_those_of_their_rows():
    X, y = class_rows(3)
    theta = np.random.default_rng(1).normal(size=(3, 5))
    theta[1, :-1] = 0.0
    functions = np.vstack([np.random.default_rng(2).normal(size=(20, 3)), np.eye(3)])
    for region, image in zip(
        sphere_and_slab().fit(X, y).feasible_set().sets,
        images(sphere_and_slab().fit(X, y).feasible_set().sets, theta),
        strict=True,
    ):
        slow, fast = Image(region, theta).extremes(functions), image.extremes(functions)
        np.testing.assert_allclose(fast.values, slow.values, rtol=1e-12, atol=1e-12)
        reached = np.vecdot(functions, fast.scores)
        np.testing.assert_allclose(reached, slow.values, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("estimator", "times", "halves"),
    [
        (LogisticRegression(), 1.0, True),
        (JOINT, 1.0, False),
        (LinearSVC(), 2.0, False),
        (RidgeClassifier(), 2.0, False),
        (SGDClassifier(alpha=0.1), 2.0, False),
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", [1, 2])
def test_two_classes_have_the_bound_of_two_class_learners(
    seed, estimator, times, halves
):
    """One against the rest solves the same problem twice."""
    X, y = labelled_rows(seed)
    bound = CertifiedBound(sphere_and_slab(), 0.2, estimator=estimator, tol=1e-6)
    bound.fit(X, y)
    objective = objective_of(estimator)
    of_classes = objective.for_classes(3).of_classes
    # Weights of both classes are each half of what a single problem has.
    strength = objective.strength * (2.0 if halves else 1.0)
    objective = objective._replace(of_classes=of_classes, strength=strength)
    sets = bound.filter_.feasible_set().sets
    game = _multiclass.prepare(objective, X, y, 2, sets, epsilon=0.2)
    rng = np.random.RandomState(0)
    found = _multiclass.minimize(game, tol=1e-6, max_iter=None, start=None, rng=rng)
    assert found.upper / times == pytest.approx(bound.upper_bound_, rel=2e-6)
    assert found.lower / times == pytest.approx(bound.lower_bound_, rel=2e-6)


def random_attack(rng, bound, n_poison):
    """Whole rows that pass the filter, aimed at random classes."""
    feasible, classes = bound.filter_.feasible_set(), bound.classes_
    codes = rng.choice(len(classes), n_poison, p=rng.dirichlet(np.ones(len(classes))))
    rows = []
    for code in codes:
        aim = (
            np.eye(len(classes))[rng.integers(len(classes))]
            - np.eye(len(classes))[code]
        )
        towards = (aim + 0.2 * rng.normal(size=len(classes))) @ bound.coef_
        rows.append(feasible[classes[code]].support(towards)[1])
    return np.array(rows).reshape(n_poison, -1), classes[codes]


@pytest.mark.parametrize("learner", PRECISE, ids=lambda one: str(one[0]))
@pytest.mark.parametrize("seed", range(4))
def test_no_attack_on_scikit_learns_own_training_exceeds_the_bound(seed, learner):
    estimator, loss, penalty, intercept = learner
    bound, X, y, epsilon = fitted_bound(learner, seed, tol=1e-3)
    rng, n_poison = np.random.default_rng(seed), int(epsilon * len(X) + 1e-9)
    found = bound.attack_
    copies = [np.repeat(part, found.n_copies, axis=0) for part in (found.X, found.y)]
    for X_poison, y_poison in [*(random_attack(rng, bound, n_poison),) * 3, copies]:
        rows, labels = np.vstack([X, X_poison]), np.append(y, y_poison)
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            model = clone(estimator).fit(rows, labels)
        W, b = model.coef_, model.intercept_
        value = class_objective(
            loss, W, b, rows, labels, len(X), penalty(len(rows)), intercept
        )
        gap = training_gap(model, rows, labels) * len(rows) / len(X)
        assert gap < 1e-3
        assert value <= bound.upper_bound_ * (1 + 1e-7) + gap
        wrong = np.mean(model.predict(X) != y)
        assert wrong <= bound.error_bound_ * (1 + 1e-7)
    assert found.n_copies.sum() <= n_poison
    assert np.all(bound.filter_.predict(found.X, found.y) == 1)
    assert value == pytest.approx(bound.attack_loss_, rel=2e-3)
    assert bound.attack_loss_ <= bound.upper_bound_
    assert bound.attack_loss_ >= bound.lower_bound_ - found.rounding_slack - 1e-12
    W, b = bound.poisoned_coef_, bound.poisoned_intercept_
    own = class_objective(
        loss, W, b, rows, labels, len(X), penalty(len(rows)), intercept
    )
    assert own == pytest.approx(bound.attack_loss_, rel=1e-9)


def test_wrong_rows_lose_at_least_what_the_error_bound_divides_by():
    rng = np.random.default_rng(0)
    scores = 2.0 * rng.normal(size=(20_000, 3))
    codes = np.where(rng.random(20_000) < 0.5, scores.argmin(axis=1), 1)
    wrong = scores.argmax(axis=1) != codes
    for loss in [Multinomial(), CrammerSinger()]:
        losses = loss.value(scores, codes)[wrong]
        assert loss.of_wrong() <= losses.min()
    for learner in LEARNERS[3:]:
        objective = objective_of(learner[0]).for_classes(3)
        losses = objective.of_classes.value(scores, codes)[wrong]
        assert objective.of_wrong <= losses.min() <= 3 * objective.of_wrong


@each_learner
def test_training_gaps_are_distances_from_the_minimum(learner):
    estimator, loss, penalty, intercept = learner
    X, y, _ = problem(0)
    model = clone(estimator).fit(X, y)
    for shift in (0.0, 0.3):
        model.coef_ = model.coef_ + shift
        W, b = model.coef_, np.broadcast_to(model.intercept_, 3)
        times = penalty(len(X))
        reached = class_objective(loss, W, b, X, y, len(X), times, intercept)
        least = least_class_objective(X, y, loss, times, intercept)
        gap = training_gap(model, X, y)
        assert gap == pytest.approx(reached - least, abs=1e-5)
        assert gap >= reached - least - 1e-7


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(), LinearSVC(), JOINT], ids=str
)
def test_names_containers_and_precision_do_not_change_the_bound(estimator):
    X, y = class_rows(0, "whole numbers")
    names = np.array(["cat", "dog", "fox"])[y]
    options = {"epsilon": 0.2, "estimator": estimator, "tol": 1e-6}
    bound = CertifiedBound(sphere_and_slab(), **options).fit(X, y)
    for rows in (sparse.csr_array(X), X.astype(np.float32), X):
        other = CertifiedBound(sphere_and_slab(), **options).fit(rows, names)
        assert other.upper_bound_ == pytest.approx(bound.upper_bound_, rel=1e-5)
        assert sparse.issparse(other.attack_.X) == sparse.issparse(rows)
        assert set(other.attack_.y) <= set(names)
        assert set(other.predict(rows)) <= set(names)
        assert other.decision_function(rows).shape == (len(X), 3)


def test_a_class_of_one_row_is_bounded():
    X, y = class_rows(0)
    keep = (y != 2) | (np.arange(len(y)) == 2)
    bound = CertifiedBound(SphereFilter(), 0.1, estimator=LogisticRegression())
    bound.fit(X[keep], y[keep])
    assert np.sum(y[keep] == 2) == 1
    slack = bound.attack_.rounding_slack + 1e-12
    assert bound.lower_bound_ - slack <= bound.attack_loss_ <= bound.upper_bound_


def test_more_rows_than_the_solver_starts_with_are_all_counted():
    X, y = class_rows(0, n_rows=6500, gap=1.0)
    bound = CertifiedBound(epsilon=0.1, estimator=LogisticRegression(), random_state=0)
    bound.fit(X, y)
    model = LogisticRegression().fit(X, y)
    alone = bound.train_learner(X, y)
    np.testing.assert_allclose(alone.predict(X), model.predict(X))
    loss = class_loss("multinomial", bound.decision_function(X), y).mean()
    assert bound.clean_loss_ == pytest.approx(loss)
    assert bound.dual_gap_ <= 1.1e-3 * bound.upper_bound_


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(), LinearSVC(), RidgeClassifier()], ids=str
)
def test_the_defense_keeps_to_the_bound(estimator):
    X, y, _ = problem(0)
    bound = CertifiedBound(sphere_and_slab(), 0.2, estimator=estimator).fit(X, y)
    found = bound.attack_
    rows = np.vstack([X, np.repeat(found.X, found.n_copies, axis=0)])
    labels = np.append(y, np.repeat(found.y, found.n_copies))
    defense = bound.defend(estimator).fit(rows, labels)
    checked = bound.check(defense, rows, labels)
    assert checked.holds and checked.n_rejected == checked.n_too_many == 0
    alone = bound.check(clone(estimator).fit(rows, labels), rows, labels)
    assert alone.training_loss == pytest.approx(bound.attack_loss_, abs=1e-3)
    far = np.vstack([X, 30.0 * (X[:12] - X.mean(axis=0))])
    labels = np.append(y, (y[:12] + 1) % 3)
    checked = bound.check(clone(estimator).fit(far, labels), far, labels)
    assert not checked.holds and checked.n_rejected >= 12 and checked.n_too_many == 5


def test_curves_and_their_plots_take_several_classes():
    X, y, _ = problem(0)
    bound = CertifiedBound(sphere_and_slab(), estimator=LogisticRegression(), tol=1e-5)
    curve = bound_curve(bound, X, y, [0.0, 0.1, 0.3])
    single = clone(bound).set_params(epsilon=0.1).fit(X, y)
    assert curve.upper_bound[1] == pytest.approx(single.upper_bound_, rel=2e-5)
    assert np.all(np.diff(curve.upper_bound) > 0)
    display = BoundDisplay.from_estimator(
        bound, X, y, epsilons=[0.0, 0.3], X_test=X, y_test=y
    )
    assert display.ax_.get_ylabel() == "Multinomial log loss (of bounds: + penalty)"
    losses = display.test_loss
    assert losses[0] < losses[1]
    assert display.filtered_loss >= display.unfiltered_loss - 1e-6
    display.figure_.clear()


def test_attacks_and_evaluations_take_several_classes():
    X, y = load_iris(return_X_y=True)
    estimator = LogisticRegression(max_iter=1000)
    attack = MinMaxAttack(0.2, estimator=estimator, random_state=0)
    rows, labels = attack.fit_resample(X, y)
    assert len(rows) == len(labels) == len(attack.poison_mask_) <= 180
    assert np.all(attack.filter_.predict(attack.X_poison_, attack.y_poison_) == 1)
    poisoned = PoisonedClassifier(attack, estimator).fit(X, y)
    assert poisoned.score(X, y) < estimator.fit(X, y).score(X, y)
    results = evaluate_attack(
        attack, sphere_and_slab(80), estimator, X[::2], y[::2], X[1::2], y[1::2]
    )
    assert results.loss_poisoned[0] > results.loss_clean[0]


WEIGHTED = [
    LogisticRegression(class_weight={0: 1.0, 1: 3.0, 2: 0.5}, tol=1e-8, max_iter=2000),
    RidgeClassifier(class_weight={0: 1.0, 1: 3.0, 2: 0.5}),
    clone(JOINT).set_params(class_weight={0: 1.0, 1: 3.0, 2: 0.5}, max_iter=100_000),
]


@pytest.mark.parametrize("estimator", WEIGHTED, ids=str)
def test_weights_of_classes_are_those_of_rows(estimator):
    X, y, _ = problem(0)
    each = np.array([1.0, 3.0, 0.5])[y]
    options = {"epsilon": 0.2, "tol": 1e-6, "random_state": 0}
    bound = CertifiedBound(sphere_and_slab(), estimator=estimator, **options).fit(X, y)
    plain = clone(estimator).set_params(class_weight=None)
    alone = CertifiedBound(sphere_and_slab(), estimator=plain, **options)
    even = clone(alone).fit(X, y, sample_weight=np.ones(len(X)))
    assert even.upper_bound_ == pytest.approx(alone.fit(X, y).upper_bound_, rel=1e-6)
    heavy = clone(alone).set_params(max_weight=3.0).fit(X, y, sample_weight=each)
    assert bound.upper_bound_ <= heavy.upper_bound_ * (1 + 1e-6)
    assert abs(bound.upper_bound_ - even.upper_bound_) > 1e-2
    model = clone(estimator).fit(X, y)
    assert training_gap(model, X, y) < 1e-3
    assert training_gap(plain.fit(X, y, each), X, y, sample_weight=each) < 1e-3
    found = bound.attack_
    rows = np.vstack([X, np.repeat(found.X, found.n_copies, axis=0)])
    labels = np.append(y, np.repeat(found.y, found.n_copies))
    checked = bound.check(clone(estimator).fit(rows, labels), rows, labels)
    assert checked.holds
    assert checked.training_loss == pytest.approx(bound.attack_loss_, abs=1e-3)
    assert bound.lower_bound_ - found.rounding_slack <= bound.attack_loss_ + 1e-9


REFUSED = [
    (LogisticRegression(solver="liblinear"), {}, "Known for several classes are"),
    (NormConstrainedSVC(), {}, "Known for several classes are"),
    (None, {"rho": 1.0}, "Known for several classes are"),
    (None, {"defense": "moving_centroids"}, "is for two classes; y has 3"),
    (LinearSVC(), {"domain": "count"}, "whose feasible sets are convex"),
    (LinearSVC(class_weight="balanced"), {}, "class_weight='balanced' is known for 3"),
]


@pytest.mark.parametrize(("estimator", "options", "says"), REFUSED)
def test_what_is_not_known_for_several_classes_is_refused(estimator, options, says):
    X, y, _ = problem(0)
    with pytest.raises(ValueError, match=says):
        CertifiedBound(estimator=estimator, **options).fit(np.round(np.abs(X)), y)


def test_a_model_of_other_classes_is_refused():
    X, y, _ = problem(0)
    bound = CertifiedBound(estimator=LogisticRegression()).fit(X, y)
    two = y < 2
    with pytest.raises(ValueError, match=r"for the classes \[0, 1, 2\]"):
        bound.check(LogisticRegression().fit(X[two], y[two]), X[two], y[two])
    with pytest.raises(ValueError, match="is for another learner"):
        bound.check(LinearSVC().fit(X, y), X, y)
    with pytest.raises(ValueError, match="requires rows of two classes"):
        CertifiedBound(estimator=LogisticRegression()).fit(X, 0 * y)


def test_a_solver_that_stops_early_gives_a_bound_all_the_same():
    X, y, _ = problem(0)
    options = {"estimator": LogisticRegression(), "tol": 1e-6, "epsilon": 0.2}
    with pytest.warns(Warning, match="solver stopped after 1 steps at a duality gap"):
        early = CertifiedBound(max_iter=1, **options).fit(X, y)
    late = CertifiedBound(**options).fit(X, y)
    assert early.lower_bound_ <= late.upper_bound_ <= early.upper_bound_
    assert early.attack_loss_ <= late.upper_bound_
    assert not early.converged_ and not early.is_exact_ and late.is_exact_
