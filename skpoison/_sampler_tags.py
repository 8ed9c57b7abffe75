"""Tags by which imbalanced-learn, which is not imported, knows samplers."""

from dataclasses import dataclass, fields

from sklearn.utils import InputTags, Tags


@dataclass(slots=True)
class SamplerTags:
    """What imbalanced-learn asks of a sampler.

    Parameters
    ----------
    sample_indices : bool, default=False
        Whether ``sample_indices_`` tells which rows are returned.
    """

    sample_indices: bool = False


@dataclass(slots=True)
class InputTagsOfSampler(InputTags):
    """scikit-learn's tags of the input, and imbalanced-learn's.

    Parameters
    ----------
    dataframe : bool, default=True
        Whether DataFrames come back as DataFrames.
    """

    dataframe: bool = True


@dataclass(slots=True)
class TagsOfSampler(Tags):
    """scikit-learn's tags, and imbalanced-learn's.

    Parameters
    ----------
    sampler_tags : SamplerTags, default=None
        What imbalanced-learn asks of a sampler.
    """

    sampler_tags: SamplerTags | None = None


def sampler_tags(tags, *, sample_indices=False):
    """Add the tags of a sampler to the tags of an estimator.

    Parameters
    ----------
    tags : :class:`~sklearn.utils.Tags`
        Tags of the estimator.
    sample_indices : bool, default=False
        Whether ``sample_indices_`` tells which rows are returned.

    Returns
    -------
    tags : TagsOfSampler
        All of them.

    Examples
    --------
    >>> from sklearn.utils import get_tags
    >>> from skpoison import DropOutliers
    >>> get_tags(DropOutliers()).sampler_tags
    SamplerTags(sample_indices=True)
    """
    values = {field.name: getattr(tags, field.name) for field in fields(tags)}
    taken = tags.input_tags
    values["input_tags"] = InputTagsOfSampler(
        **{field.name: getattr(taken, field.name) for field in fields(taken)}
    )
    return TagsOfSampler(**values, sampler_tags=SamplerTags(sample_indices))
