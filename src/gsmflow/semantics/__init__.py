"""Class semantics: one vector a class, from a table of attributes or from sentences.

::

    attributes.py   numbers, scaled column by column
    sentences.py    texts, through a sentence encoder, averaged over a class's sentences
    encoder.py      sentence encoders and CLIP's text tower, from a folder or the cache
    table.py        the CSV in, the CSV out
"""
