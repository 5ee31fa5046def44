"""Presets, overrides and options: what is accepted, and what the refusal says."""

from __future__ import annotations

from pathlib import Path

import pytest

from gsmflow.base.errors import InputError
from gsmflow.methods.gsmflow import GSMFlowOptions
from gsmflow.recipes.preset import preset_for, preset_names
from gsmflow.recipes.recipe import make_recipe


def test_an_override_wins_over_the_preset_and_the_preset_over_the_default() -> None:
    recipe = make_recipe("gsmflow", "CUB", ("epochs=7", "head.epochs=9", "relative_positioning=off"))
    assert isinstance(recipe.options, GSMFlowOptions)
    assert (recipe.options.epochs, recipe.head.epochs) == (7, 9)
    assert recipe.options.relative_positioning is False
    assert recipe.options.prototype_weight == 1.0
    assert recipe.options.clamp == 1.0


def test_a_preset_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('description = "mine"\n[gsmflow]\nblocks = 2\n[head]\nepochs = 3\n')
    recipe = make_recipe("gsmflow", str(file))
    assert recipe.tables()["gsmflow"]["blocks"] == 2
    assert make_recipe("eszsl", str(file)).head.epochs == 3


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("gsmflow.epoch=3",), r"did you mean gsmflow\.epochs\?"),
        (("epochs",), "expected key=value"),
        (("gsmflow.epochs=0",), r"gsmflow\.epochs = 0: expected a whole number, at least 1"),
        (("gsmflow.epochs=2.5",), "expected a whole number"),
        (("gsmflow.perturbation=nan",), r"gsmflow\.perturbation = nan: expected a number"),
        (("features.scaling=max",), "expected one of minmax, standard, length, none"),
        (("head.calibrate=maybe",), "expected true or false"),
        (("gsmflow.blocks=0", "gsmflow.hidden=0"), r"blocks = 0: .*; gsmflow\.hidden = 0"),
    ],
)
def test_wrong_overrides(overrides: tuple[str, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make_recipe("gsmflow", "best", overrides)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[gsmflow\n", "not valid TOML"),
        ("epochs = 3\n", r"'epochs' stands outside any table; .* such as \[gsmflow\], or under \[features\]"),
        ("[gsmflwo]\nepochs = 3\n", "gsmflwo"),
        ("[gsmflow]\nepohs = 3\n", "did you mean 'epochs'"),
        ('[gsmflow]\nepochs = "3"\n', "expected a whole number"),
        (
            "[closed-form]\nlda.ridge = 1\n",
            r"\[closed-form\] sets 'lda', but it may hold only options of features,",
        ),
        ("[closed-form]\nproject = 1\n", "sets 'project', but it may hold only options of features"),
        ("[cheap]\nselection.problms = 1\n", r"\[cheap\].*did you mean 'problems'"),
    ],
)
def test_wrong_presets(content: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(content)
    with pytest.raises(InputError, match=words):
        make_recipe("gsmflow", str(file))


@pytest.mark.parametrize("preset", ["best", "digits", "FLO-best", "AWA1-best"])
@pytest.mark.parametrize(("method", "problems"), [("lda", 8), ("eszsl", 8), ("sae", 3), ("kernel-eszsl", 3)])
def test_closed_forms_are_not_held_back_by_what_suits_a_flow(preset: str, method: str, problems: int) -> None:
    recipe = make_recipe(method, preset)
    assert (recipe.features.project, recipe.features.project_at_most) == (0, 0)
    assert (recipe.selection.problems, recipe.selection.averaged) == (problems, 5)
    flow = make_recipe("gsmflow", preset)
    assert (flow.selection.problems, flow.selection.averaged) == (3, 1)
    assert make_recipe(method, preset, ["features.project=7"]).features.project == 7


def test_a_closed_form_alone_is_what_it_is_as_a_member_of_auto() -> None:
    for problem in ("best", "digits", "FLO-best", "AWA1-best"):
        alone, member = make_recipe("lda", problem), make_recipe("auto", problem).members["lda"]
        assert alone.tables() == member.tables()


def test_a_preset_of_ones_own_may_hold_values_for_closed_forms(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[features]\nproject = 64\nscaling = 'none'\n[closed-form]\nfeatures.project = 128\n")
    assert make_recipe("cvae", str(file)).features.project == 64
    assert make_recipe("sae", str(file)).features.project == 128
    assert make_recipe("sae", str(file)).features.scaling == "none"


def test_presets_and_methods_by_name() -> None:
    with pytest.raises(InputError, match="did you mean 'digits'"):
        make_recipe("gsmflow", "digit")
    with pytest.raises(InputError, match="did you mean 'gsmflow'"):
        make_recipe("gsmflw", "digits")
    assert {"AWA2", "APY", "CUB", "FLO", "digits", "best"} <= set(preset_names())
    assert preset_for("digits") == "digits"
    assert preset_for("AWA1") == "AWA1-best"
    assert preset_for("some/folder") == "best"
    assert preset_for("flo", "best") == "FLO-best"
    assert preset_for("digits", "best") == "best"
    assert preset_for("digits", "mine.toml") == "mine.toml"


def test_how_many_models_are_trained() -> None:
    assert make_recipe("gsmflow", "best").trained == 1
    assert make_recipe("lda", "best").trained == 1  # fitted, once
    assert make_recipe("auto", "best").trained == 2  # two flows; the other members are closed forms


@pytest.mark.parametrize(
    ("method", "preset", "dims", "short"),
    [
        ("gsmflow", "best", 256, True),
        ("gsmflow", "best", 257, False),
        ("gsmflow", "digits", 64, True),
        ("gsmflow", "AWA2", 2048, False),
        ("cada-vae", "best", 127, True),
        ("cada-vae", "best", 128, False),
        ("lda", "best", 64, False),
    ],
)
def test_steps_of_small_flows_are_short(method: str, preset: str, dims: int, short: bool) -> None:
    assert make_recipe(method, preset).has_short_steps(dims) == short
