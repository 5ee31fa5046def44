"""A finished run as an HTTP service, with a page to try it on.

::

    service.py   the run in memory: what answers
    app.py       addresses and what is said in which case
    messages.py  requests and answers, which the OpenAPI description is made of
    guard.py     limits on size, time and number of requests; who may ask
    counting.py  Prometheus metrics
    images.py    where images become features
    page/        the page
"""
