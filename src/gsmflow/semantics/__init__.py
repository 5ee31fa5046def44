"""Class semantics: one vector a class, from a table of attributes or from sentences.

::

    attributes.py   numbers, scaled column by column
    sentences.py    sentence vectors from an encoder, averaged over the sentences of a class
    names.py        names alone: sentences from prompt templates
    describing.py   from texts and an encoder to a table of semantics
    encoder_at_hand.py   the encoder to use if the user names none
    encoder.py      sentence encoders and CLIP's text tower, from a folder or the cache
    clip.py         the text tower of a model of images and texts
    description_table.py   reads the CSV of descriptions and writes the CSV of semantics
"""
