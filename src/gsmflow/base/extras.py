"""How a user installs the optional packages that a command turns out to need."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit


def installing(extra: str) -> str:
    """The command that installs the packages of an extra, for the end of an error message.

    It names what this package was installed from: a checkout, a wheel, or a package index. For a checkout or a
    wheel the name of the package is not enough to install an extra.

    Parameters
    ----------
    extra : str
        An extra of the package: ``hdf5``, ``images``, ``onnx``, ``ray``, ``report``, ``serve``, ``tensorboard``,
        ``text`` or ``tune``.

    Returns
    -------
    str
        One line without a full stop, such as ``pip install -e '/home/me/gsmflow[images]'``.
    """
    return command(_origin(), extra)


def command(origin: dict[str, object] | None, extra: str) -> str:
    """The command for a package that was installed from `origin`.

    Parameters
    ----------
    origin : dict[str, object] | None
        The content of ``direct_url.json``, which pip writes for everything that is not from an index (PEP 610);
        None without one.
    extra : str
        The name of the extra.

    Examples
    --------
    >>> command(None, "onnx")
    "pip install 'gsmflow[onnx]'"
    >>> command({"url": "file:///home/me/gsmflow", "dir_info": {"editable": True}}, "onnx")
    "pip install -e '/home/me/gsmflow[onnx]'"
    >>> command({"url": "file:///tmp/gsmflow-0.2.0-py3-none-any.whl", "archive_info": {}}, "onnx")
    "pip install '/tmp/gsmflow-0.2.0-py3-none-any.whl[onnx]'"
    """
    url = str((origin or {}).get("url", ""))
    if not url:
        return f"pip install 'gsmflow[{extra}]'"
    folder, repository = ((origin or {}).get(key) for key in ("dir_info", "vcs_info"))
    if not url.startswith("file:"):
        program = f"{repository['vcs']}+" if isinstance(repository, dict) else ""
        return f"pip install 'gsmflow[{extra}] @ {program}{url}'"
    editable = "-e " if isinstance(folder, dict) and folder.get("editable") else ""
    return f"pip install {editable}'{unquote(urlsplit(url).path)}[{extra}]'"


def _origin() -> dict[str, object] | None:
    try:
        text = distribution("gsmflow").read_text("direct_url.json")
    except PackageNotFoundError:  # it runs from its sources, without having been installed
        checkout = Path(__file__).parents[3]
        return {"url": checkout.as_uri(), "dir_info": {"editable": True}}
    return json.loads(text) if text else None
