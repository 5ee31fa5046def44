"""The report of one or several runs: a self-contained HTML page, and figures for papers.

``record`` collects the content of a run folder and its data, ``findings`` and ``embedding`` compute what is
shown, ``page`` writes it as HTML, and ``figures`` as SVG and PNG. Everything here reads finished runs and cannot
change their scores. Importing this package is light; `record` loads torch.
"""
