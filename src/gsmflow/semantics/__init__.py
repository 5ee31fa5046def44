"""Class semantics: one vector a class, from a table of attributes or from sentences.

::

    attributes.py   numbers, scaled column by column
    sentences.py    texts, through a sentence encoder, averaged over a class's sentences
    names.py        nothing but names: sentences from prompt templates
    describing.py   texts and an encoder to a table of semantics
    encoder_at_hand.py   the encoder to use where none is named
    encoder.py      sentence encoders and CLIP's text tower, from a folder or the cache
    clip.py         the text tower of a model of images and texts
    table.py        the CSV in, the CSV out
"""
