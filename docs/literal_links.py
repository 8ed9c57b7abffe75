"""Links every public name between backticks to its page in the reference."""

import api_pages
import inventories
from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform


def targets():
    """Return the full name of each public name, by what a page may call it.

    Our own names come first; a short name that is neither a class nor ours, such as
    ``clone``, is too ordinary a word to be linked without its module.
    """
    found = {}
    for name in inventories.names():
        short = name.rpartition(".")[2]
        found[name] = name
        if short[0].isupper():
            found[short] = name
    for module, listed in api_pages.public_names().items():
        for name in listed:
            found[name] = found[f"skpoison.{name}"] = f"{module}.{name}"
            found[f"{module}.{name}"] = f"{module}.{name}"
    return found


class LinkLiterals(SphinxTransform):
    """Make each name a reference, but on its own page and inside links and titles."""

    default_priority = 400  # before references are resolved
    known = None

    def apply(self, **kwargs):
        """Wrap what is known, and send references to where a name is documented."""
        if LinkLiterals.known is None:
            LinkLiterals.known = targets()
        for reference in self.document.findall(addnodes.pending_xref):
            if reference.get("refdomain") == "py" and "." in reference["reftarget"]:
                named = reference["reftarget"]
                reference["reftarget"] = self.known.get(named, named)
        page = self.env.docname.rpartition("/")[2]
        for literal in list(self.document.findall(nodes.literal)):
            target = self.known.get(literal.astext())
            if target and target != page and not _inside_a_link_or_title(literal):
                literal.replace_self(_reference(literal, target, self.env.docname))


def _inside_a_link_or_title(node):
    while node.parent is not None:
        node = node.parent
        if isinstance(node, nodes.reference | addnodes.pending_xref | nodes.title):
            return True
    return False


def _reference(literal, target, page):
    # refspecific is off: the full name is meant, and nothing that ends alike.
    reference = addnodes.pending_xref(
        "",
        literal.deepcopy(),
        refdomain="py",
        reftype="obj",
        reftarget=target,
        refexplicit=True,
        refwarn=False,
        refdoc=page,
    )
    reference["py:module"] = reference["py:class"] = None
    return reference


def setup(app):
    """Add the transform."""
    app.add_transform(LinkLiterals)
    return {"parallel_read_safe": True, "version": "1"}
