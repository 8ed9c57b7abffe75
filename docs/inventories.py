"""Other projects' documentation, and the names there that this one links to.

Sphinx asks each project for its inventory of names. Where a project cannot be reached,
the inventory written here stands in, so that builds and links need no network.
"""

import importlib
import inspect
import zlib

# Documentation of each project, where the page of a name is, and the names linked to.
PROJECTS = {
    "numpy": (
        "https://numpy.org/doc/stable/",
        "reference/generated/{name}.html",
        ["numpy.ndarray", "numpy.percentile"],
    ),
    "scipy": (
        "https://docs.scipy.org/doc/scipy/",
        "reference/generated/{name}.html",
        ["scipy.sparse.csr_array", "scipy.sparse.csr_matrix"],
    ),
    "sklearn": (
        "https://scikit-learn.org/stable/",
        "modules/generated/{name}.html",
        [
            "sklearn.base.clone",
            "sklearn.callback.ProgressBar",
            "sklearn.compose.ColumnTransformer",
            "sklearn.datasets.fetch_openml",
            "sklearn.decomposition.TruncatedSVD",
            "sklearn.exceptions.ConvergenceWarning",
            "sklearn.feature_extraction.text.CountVectorizer",
            "sklearn.feature_extraction.text.TfidfVectorizer",
            "sklearn.frozen.FrozenEstimator",
            "sklearn.inspection.DecisionBoundaryDisplay",
            "sklearn.linear_model.LogisticRegression",
            "sklearn.linear_model.RANSACRegressor",
            "sklearn.linear_model.SGDClassifier",
            "sklearn.model_selection.GridSearchCV",
            "sklearn.model_selection.cross_val_score",
            "sklearn.multiclass.OneVsRestClassifier",
            "sklearn.neighbors.LocalOutlierFactor",
            "sklearn.pipeline.FeatureUnion",
            "sklearn.pipeline.Pipeline",
            "sklearn.preprocessing.OneHotEncoder",
            "sklearn.preprocessing.StandardScaler",
            "sklearn.svm.LinearSVC",
            "sklearn.utils.estimator_checks.check_estimator",
        ],
    ),
    "skorch": (
        "https://skorch.readthedocs.io/en/stable/",
        "{page}.html",
        [
            "skorch.callbacks.Checkpoint",
            "skorch.callbacks.LoadInitState",
            "skorch.classifier.NeuralNetClassifier",
        ],
    ),
    "torch": (
        "https://docs.pytorch.org/docs/stable/",
        "generated/{name}.html",
        ["torch.nn.Linear", "torch.nn.Module"],
    ),
}


def mapping(folder):
    """Return ``intersphinx_mapping``: each project's own inventory, or the one here.

    Parameters
    ----------
    folder : Path
        Where inventories are written.
    """
    return {
        project: (address, (None, str(folder / f"{project}.inv")))
        for project, (address, _, _) in PROJECTS.items()
    }


def names():
    """Return all names that are linked to."""
    return [name for _, _, listed in PROJECTS.values() for name in listed]


def write_inventories(folder):
    """Write an inventory for each project.

    Parameters
    ----------
    folder : Path
        Where to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for project, (_, page, listed) in PROJECTS.items():
        (folder / f"{project}.inv").write_bytes(inventory(project, page, listed))


def inventory(project, page, listed):
    """Return an inventory in Sphinx's format, version 2.

    Parameters
    ----------
    project : str
        Name of the project.
    page : str
        Address of a name's page, with ``{name}`` or ``{page}``, its second part.
    listed : list of str
        The names.
    """
    lines = []
    for name in listed:
        address = page.format(name=name, page=name.split(".")[1])
        lines.append(f"{name} py:{_kind(name)} 1 {address}#{name} -\n")
    head = (
        "# Sphinx inventory version 2\n"
        f"# Project: {project}\n# Version: \n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    return head.encode() + zlib.compress("".join(lines).encode())


def _kind(name):
    """Tell classes from functions, as the name that must exist here says."""
    module, _, short = name.rpartition(".")
    thing = getattr(importlib.import_module(module), short)
    return "class" if inspect.isclass(thing) else "function"
