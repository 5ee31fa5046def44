"""The report of one or several runs: a self-contained HTML page, and figures for papers.

``reading`` collects the content of a run folder and its data, ``findings`` and ``embedding`` compute what is
shown, ``page`` writes it as HTML, ``figures`` as SVG and PNG. All of it reads finished runs; nothing here can
change their scores. Importing this package is light; `reading` loads torch.
"""
