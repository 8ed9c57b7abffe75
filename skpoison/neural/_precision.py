"""Errors of torch that are about the precision of numbers."""

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
    """Whether an error says that numbers are ``given`` instead of ``wanted``.

    It names both, says that they differ, or that something is not implemented for the
    one given: modules that need indices, such as embeddings, name only that one.
    """
    if given == wanted:
        return False
    text = str(error)
    lacks = rf"not implemented for '({_words(given)})'|must share same datatype"
    both = (rf"\b({_words(kind)})(Tensor)?\b" for kind in (given, wanted))
    return bool(re.search(lacks, text)) or all(re.search(one, text) for one in both)


def _words(kind):
    return "|".join(map(re.escape, (str(kind), *WORDS.get(kind, ()))))
