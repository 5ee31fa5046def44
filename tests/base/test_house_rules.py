"""Rules of the source that neither the linter nor import-linter keeps."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import gsmflow
from gsmflow.methods import METHODS

SOURCE = Path(gsmflow.__file__).parent
TESTS = Path(__file__).parents[1]
MOST_LINES = 350
# Short names that everybody gives these modules.
USUAL = {
    "numpy": "np",
    "polars": "pl",
    "torch.nn.functional": "F",
    "torch.distributed": "dist",
    "numpy.lib.format": "npy",
}


# Files of the same name in several rooms that are about the same thing.
SHARED = {
    "attributes.py": "of classes, and the methods that predict them",
    "classifier.py": "the fitted one, and its scikit-learn face",
    "clip.py": "its image tower and its text tower",
    "likelihood.py": "the head and its method",
    "neighbours.py": "the head and its method",
    "onnx.py": "models that are read and models that are written",
    "options.py": "of everything, and of the command line",
    "progress.py": "what a run tells, and how the command line shows it",
    "ray.py": "the cluster, and the studies on it",
    "tensors.py": "in files, and in training",
    "train.py": "a run, and its command",
    "worker.py": "one run of a study, and its command",
    "zero_shot.py": "the method, and its command",
}


def trees(root: Path = SOURCE) -> Iterator[tuple[str, ast.Module]]:
    """The syntax tree of every module."""
    for file in sorted(root.rglob("*.py")):
        yield file.relative_to(root).as_posix(), ast.parse(file.read_text(encoding="utf-8"))


def test_no_module_is_too_long_to_be_read_in_one_sitting() -> None:
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in SOURCE.rglob("*.py")}
    assert len(lengths) > 200
    assert not {file.name: length for file, length in lengths.items() if length > MOST_LINES}


def test_what_is_imported_keeps_its_name() -> None:
    renamed = []
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                start = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
                for each in node.names:
                    usual = USUAL.get(start + each.name)
                    # A constant may be told apart from one of the same name, such as the FILE of two modules.
                    if (
                        each.asname not in (None, usual)
                        and not each.name.isupper()
                        and not each.name[0].isupper()
                    ):
                        renamed.append(f"{name}: {start}{each.name} as {each.asname}")
    assert not renamed


@pytest.mark.parametrize("root", [SOURCE, TESTS])
def test_locals_say_what_was_made_kept_or_found(root: Path) -> None:
    vague = []
    for name, tree in trees(root):
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for node in ast.walk(function):
                    stored = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id
                    given = isinstance(node, ast.arg) and node.arg
                    if (stored or given) in ("made", "kept", "found"):
                        vague.append(f"{name}: {stored or given} in {function.name}")
    assert not vague


def test_files_and_folders_get_their_final_name_in_one_module_alone() -> None:
    """An atomic writer of its own would be one more place where a crash leaves half a file."""
    renaming = []
    for name, tree in trees():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            called, arguments = node.func.attr, len(node.args)
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            of_system = (owner, called) in (
                ("os", "replace"),
                ("os", "rename"),
                ("os", "renames"),
                ("shutil", "move"),
            )
            # Texts are replaced by two arguments, and columns of tables are renamed by a mapping.
            of_path = called in ("replace", "rename") and arguments == 1 and not node.keywords
            if of_system or (of_path and not isinstance(node.args[0], ast.Dict)):
                renaming.append(name)
    assert set(renaming) == {"files/atomic.py"}


def test_no_method_is_compared_by_its_name() -> None:
    """What differs between methods is declared by them, so that others' methods can declare it too."""
    names = {*METHODS.names()} - {"auto"}  # also a device, and the shell of the user
    compared = []
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare):
                sides = [node.left, *node.comparators]
                if any(isinstance(side, ast.Constant) and side.value in names for side in sides):
                    compared.append(f"{name}:{node.lineno}")
    assert not compared


def test_a_name_of_a_file_means_one_thing() -> None:
    rooms: dict[str, set[str]] = {}
    for file in SOURCE.rglob("*.py"):
        room = file.parent.relative_to(SOURCE).as_posix()
        rooms.setdefault(file.name, set()).add("methods" if room == "methods/workings" else room)
    assert {name for name, places in rooms.items() if len(places) > 1} == {*SHARED, "__init__.py"}
