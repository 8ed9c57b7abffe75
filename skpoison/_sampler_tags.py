"""Tags by which imbalanced-learn, which is not imported, knows samplers."""

from dataclasses import dataclass, fields

from sklearn.utils import InputTags, Tags


@dataclass(slots=True)
class SamplerTags:
    """What imbalanced-learn asks of a sampler."""

    sample_indices: bool = False  # whether sample_indices_ tells what is returned


@dataclass(slots=True)
class InputTagsOfSampler(InputTags):
    """scikit-learn's tags of the input, and imbalanced-learn's."""

    dataframe: bool = True  # whether DataFrames come back as DataFrames


@dataclass(slots=True)
class TagsOfSampler(Tags):
    """scikit-learn's tags, and imbalanced-learn's."""

    sampler_tags: SamplerTags | None = None


def sampler_tags(tags: Tags, *, sample_indices: bool = False) -> TagsOfSampler:
    """Add the tags of a sampler to the tags of an estimator.

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
