"""A finished run as an HTTP service, with a page to try it on.

::

    service.py   the run in memory: the run that answers
    app.py       addresses and what is said in which case
    answers.py   what is answered, made of a version of the run
    reasons.py   which attributes decided
    messages.py  requests and answers, which the OpenAPI description is made of
    guard.py     limits on size, time and number of requests; who may ask
    counting.py  Prometheus metrics
    images.py    where images become features
    texts.py     where a text becomes semantics
    pages.py     the page in page/, and what it may load
"""
