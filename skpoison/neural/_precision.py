"""Whether an error of torch is about the precision of numbers."""

import re

import torch

# What torch calls its types in errors, besides their own names.
WORDS = {
    torch.uint8: ("Byte", "unsigned char"),
    torch.int8: ("Char", "signed char"),
    torch.int16: ("Short", "short"),
    torch.int32: ("Int", "int"),
    torch.int64: ("Long", "long"),
    torch.bool: ("Bool", "bool"),
    torch.float16: ("Half", "c10::Half"),
    torch.bfloat16: ("BFloat16", "c10::BFloat16"),
    torch.float32: ("Float", "float"),
    torch.float64: ("Double", "double"),
}


def names_both(error, given, wanted):
    """Whether an error says that numbers of one type came where others should.

    Parameters
    ----------
    error : RuntimeError
        From a module.
    given : torch.dtype
        The type of rows.
    wanted : torch.dtype
        The type of the module's parameters.

    Returns
    -------
    speaks : bool
        Whether the types differ, and the error names both, says that they differ, or
        that something is not implemented for the one given. What wants indices, as an
        embedding does, names the one given only.
    """
    if given == wanted:
        return False
    text = str(error)
    lacks = rf"not implemented for '({_words(given)})'|must share same datatype"
    both = (rf"\b({_words(kind)})(Tensor)?\b" for kind in (given, wanted))
    return bool(re.search(lacks, text)) or all(re.search(one, text) for one in both)


def _words(kind):
    return "|".join(map(re.escape, (str(kind), *WORDS.get(kind, ()))))
