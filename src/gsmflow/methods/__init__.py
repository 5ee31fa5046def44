"""The methods: one file each, with one interface, and the registration of other people's methods.

A method is either *direct* (it computes heads at once, in closed form) or it has a *learner*, trained by
steps: a [`Generator`][gsmflow.learning.learner.Generator] synthesizes features to train a head on, a
[`Scorer`][gsmflow.learning.learner.Scorer] classifies by itself. Write your own method as
``docs/extending.md`` shows, and register it with [`register_method`][gsmflow.methods.register_method] or by an
entry point in the group ``gsmflow.methods`` of your package.

Importing this package is light; a method's own module is imported when it is asked for.
"""

from __future__ import annotations

from gsmflow.base.options import Options, option
from gsmflow.base.registry import Registry
from gsmflow.methods.method import Member, Method, complaint_about

__all__ = [
    "METHODS",
    "Member",
    "Method",
    "Options",
    "find_method",
    "method_names",
    "option",
    "register_method",
]

_MODULES = (
    "auto",
    "gsmflow",
    "gsmflow-tmm",
    "rlvc",
    "cflow",
    "likelihood",
    "likelihood-gate",
    "cvae",
    "f-clswgan",
    "f-vaegan-d2",
    "tf-vaegan",
    "free",
    "cada-vae",
    "ce-gzsl",
    "sdgzsl",
    "diffusion",
    "izf",
    "cnzsl",
    "fsigenz",
    "lda",
    "eszsl",
    "kernel-eszsl",
    "neighbours",
    "dap",
    "iap",
    "sae",
    "ale",
    "devise",
    "sje",
    "zero-shot",
    "upper-bound",
)

METHODS: Registry[Method] = Registry(
    "method",
    "gsmflow.methods",
    {name: f"gsmflow.methods.{name.replace('-', '_')}:METHOD" for name in _MODULES},
    complaint_about,
)


def method_names() -> list[str]:
    """Names of all methods: built in, registered, and from other packages; imports none of them."""
    return METHODS.names()


def find_method(name: str, origin: str = "method") -> Method:
    """The method of that name.

    Raises
    ------
    InputError
        There is none, or its package cannot be loaded.
    """
    return METHODS.find(name, origin)


def register_method(method: Method) -> None:
    """Add a method to those of this program, under its own name.

    It then works wherever a method is named in this process. Runs of a study (``bench``, ``ablate``) with it are
    made in this process, one after another. A package that registers it by an entry point in the group
    ``gsmflow.methods`` makes it known to all processes, including those of a cluster.

    Raises
    ------
    InputError
        Another method has that name, or the method is not valid.
    """
    METHODS.register(method.name, method)
