# %% [markdown]
# # From features to a report, in Python
#
# Handwritten digits in four views, eight of the forty combinations never photographed. Run it as a script, or cell by
# cell in an editor that knows `# %%`.

# %%
import tempfile
from pathlib import Path

import numpy as np

from gsmflow import GSMFlowClassifier, sources
from gsmflow.scores.samples import Samples
from gsmflow.scores.shifts import measure

problem = sources.load("digits", data_root=Path("data"))
names = np.array(problem.classes)
print(f"{len(problem.seen)} seen classes, {len(problem.unseen)} unseen: {', '.join(names[problem.unseen])}")

# %% [markdown]
# ## Train
# `fit` sees features and labels of seen classes, and one vector of semantics for every class. Thirty passes are enough
# to see what it does; the preset has more.

# %%
X, y = problem.features[problem.train], names[problem.labels[problem.train]]
model = GSMFlowClassifier(preset="digits", options={"gsmflow.epochs": 30, "selection.problems": 1})
model.fit(X, y, semantics=problem.semantics, classes=names)

# %% [markdown]
# ## Score
# Each class counts the same, seen and unseen apart.


# %%
def class_accuracy(rows: np.ndarray) -> float:
    true = names[problem.labels[rows]]
    right = model.predict(problem.features[rows]) == true
    return float(np.mean([right[true == name].mean() for name in np.unique(true)]))


U, S = class_accuracy(problem.test_unseen), class_accuracy(problem.test_seen)
print(f"unseen {U:.1%}, seen {S:.1%}, harmonic mean {2 * U * S / (U + S):.1%}")

# %% [markdown]
# ## Look at the synthesis
# How far are synthesized images from real ones of the classes that were never seen?

# %%
real = problem.features[problem.test_unseen]
real_labels = problem.labels[problem.test_unseen]
synthetic = np.concatenate([model.synthesize(names[c], 60) for c in problem.unseen])
synthetic_labels = np.repeat(problem.unseen, 60)
shifts = measure(
    Samples.matched(real, real_labels, synthetic, synthetic_labels, judge="test features of unseen classes"),
    problem.semantics,
    problem.classes,
    X,
    problem.labels[problem.train],
)
print(f"within-class variance, synthetic over real: {shifts.variance.ratio:.2f}")
print(f"rank correlation of distances between class centres: {shifts.structure.spearman:.2f}")

# %% [markdown]
# ## Keep it

# %%
with tempfile.TemporaryDirectory() as folder:
    model.save(Path(folder) / "digits")
    again = GSMFlowClassifier.load(Path(folder) / "digits")
    assert (again.predict(real) == model.predict(real)).all()
    print(sorted(path.name for path in (Path(folder) / "digits").iterdir()))
