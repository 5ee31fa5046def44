"""The addresses of the service, and what is said in which case."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Annotated, Any, TypeVar

import numpy as np
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Path, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.base.version import __version__
from gsmflow.serve.counting import TYPE, Counting, Counts
from gsmflow.serve.guard import Guard, Limits
from gsmflow.serve.messages import (
    MOST_SHOWN,
    Added,
    Attribute,
    ClassDetail,
    Classes,
    ClassName,
    Example,
    ExampleDetail,
    Examples,
    Features,
    Health,
    NewClass,
    Prediction,
    Predictions,
    Ranked,
    Refusal,
    Run,
    Scores,
)
from gsmflow.serve.service import Busy, Service, Taken, Version

T = TypeVar("T")

# Everything the page is made of comes from here, and nothing may be added to it by what it shows.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
_REASONS = {
    400: "The body cannot be read.",
    401: "No token, or a wrong one.",
    403: "The service does not allow it.",
    404: "There is no such thing.",
    408: "The request did not arrive in time.",
    409: "It does not fit the state of the service.",
    413: "The request is too large.",
    421: "The service does not go by that name.",
    422: "The request is not understood; the answer says where.",
    503: "Too much to do, or it took too long.",
}
_ALWAYS = (400, 401, 408, 413, 421, 503)


def _refusals(*more: int) -> dict[int | str, dict[str, Any]]:
    return {code: {"model": Refusal, "description": _REASONS[code]} for code in sorted({*_ALWAYS, *more})}


def create_app(service: Service, limits: Limits | None = None, *, read_only: bool = False) -> FastAPI:
    """The ASGI application that serves a run.

    Parameters
    ----------
    service : Service
        The run that answers.
    limits : Limits | None
        Sizes, times and numbers of requests; None: the defaults.
    read_only : bool
        Refuse new classes.
    """
    limits = limits or Limits()
    counts = Counts()
    counts.classes.set(len(service.version.classifier.classes))
    app = FastAPIOffline(
        title=f"GSMFlow: {service.version.name}",
        version=__version__,
        description="Labels features or images with the classes of a run, and learns new classes by their "
        "semantics alone.",
    )
    app.include_router(_page())
    app.include_router(_answers(service, limits, counts, read_only))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_middleware(Guard, limits=limits)
    app.add_middleware(Counting, counts=counts)
    return app


def _page() -> APIRouter:
    router = APIRouter(include_in_schema=False)
    headers = {
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    for address, (name, kind) in _PAGE.items():
        content = (resources.files("gsmflow.serve") / "page" / name).read_bytes()
        router.add_api_route(address, _constant(Response(content, media_type=kind, headers=headers)))
    return router


def _constant(response: Response) -> Callable[[], Response]:
    return lambda: response


def _answers(service: Service, limits: Limits, counts: Counts, read_only: bool) -> APIRouter:
    # The guard checks the token before anything is read; this only says so in the OpenAPI description.
    router = APIRouter(dependencies=[Depends(HTTPBearer(auto_error=False))] if limits.token else [])
    computing, adding = CapacityLimiter(limits.computing), CapacityLimiter(1)

    async def compute(function: Callable[..., T], *arguments: Any, limiter: CapacityLimiter = computing) -> T:
        """Run in a thread, at most so many at a time; a request that ran out of time is not waited for."""
        return await to_thread.run_sync(function, *arguments, limiter=limiter, abandon_on_cancel=True)

    @router.get("/health", responses=_refusals())
    async def health() -> Health:
        """Whether the service is up."""
        version = service.version
        return Health(
            status="ok",
            run=version.name,
            classes=len(version.classifier.classes),
            adding=service.adding,
        )

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Prometheus metrics."""
        return Response(counts.text(), media_type=TYPE)

    @router.get("/v1/run", responses=_refusals())
    async def run() -> Run:
        """What is served."""
        version = service.version
        told, classifier = version.metrics, version.classifier
        return Run(
            run=version.name,
            problem=told["problem"],
            method=told["method"],
            protocol=told["protocol"],
            feature_dim=classifier.transform.in_dim,
            dimensions=list(version.dimensions),
            seen=len(classifier.classes) - len(classifier.unseen),
            unseen=len(classifier.unseen),
            takes_images=service.extractor is not None,
            no_images="" if service.extractor else service.no_images,
            adds_classes=not read_only,
            scores=_scores(told),
        )

    @router.get("/v1/classes", responses=_refusals())
    async def classes() -> Classes:
        """All classes."""
        version = service.version
        listed = [ClassName(**_class(version, index)) for index in range(len(version.classifier.classes))]
        return Classes(run=version.name, classes=listed)

    @router.get("/v1/classes/{index}", responses=_refusals(404, 422))
    async def class_detail(index: Annotated[int, Path(ge=0)]) -> ClassDetail:
        """One class and its semantics."""
        version = service.version
        if index >= len(version.classifier.classes):
            raise HTTPException(404, f"no class {index}; there are {len(version.classifier.classes)}")
        return ClassDetail(**_class(version, index), attributes=_attributes(version, index))

    @router.get("/v1/examples", responses=_refusals())
    async def examples() -> Examples:
        """Test samples kept with the run, none of them trained on."""
        kept, version = service.examples, service.version
        if kept is None:
            return Examples(image_shape=None, examples=[])
        shown = (np.clip(kept.features, 0, 1) * 255).round().astype(int) if kept.image_shape else None
        listed = [
            Example(
                index=index,
                label=int(label),
                name=version.classifier.classes[label],
                seen=not np.isin(label, version.classifier.unseen),
                pixels=None if shown is None else shown[index].tolist(),
            )
            for index, label in enumerate(kept.labels)
        ]
        return Examples(image_shape=kept.image_shape, examples=listed)

    @router.get("/v1/examples/{index}", responses=_refusals(404, 422))
    async def example(index: Annotated[int, Path(ge=0)]) -> ExampleDetail:
        """The features of one of them."""
        kept = service.examples
        count = 0 if kept is None else len(kept.labels)
        if kept is None or index >= count:
            raise HTTPException(404, f"no example {index}; there are {count}")
        return ExampleDetail(
            index=index, label=int(kept.labels[index]), features=kept.features[index].tolist()
        )

    @router.post("/v1/predict", responses=_refusals(422))
    async def predict(asked: Features) -> Predictions:
        """Label samples by their features."""
        try:
            version, probabilities = await compute(service.probabilities, asked.features)
        except InputError as error:
            raise HTTPException(422, str(error)) from None
        counts.samples.inc(len(probabilities))
        return _predictions(version, probabilities, asked.top)

    @router.post("/v1/predict/image", responses=_refusals(409, 422))
    async def predict_image(
        image: UploadFile, top: Annotated[int, Query(ge=1, le=MOST_SHOWN)] = 3
    ) -> Predictions:
        """Label an image file."""
        if service.extractor is None:
            raise HTTPException(409, f"{service.no_images}; send features to /v1/predict")
        try:
            version, probabilities = await compute(service.of_image, await image.read())
        except InputError as error:
            raise HTTPException(422, str(error)) from None
        counts.samples.inc()
        return _predictions(version, probabilities, top)

    @router.post("/v1/classes", status_code=201, responses=_refusals(403, 409, 422))
    async def add_class(asked: NewClass) -> Added:
        """Add a class by its semantics; a new version of the run is written and answers from then on."""
        if read_only:
            raise HTTPException(403, "this service was started with --read-only and takes no new classes")
        name = asked.name.strip()
        if not name or not name.isprintable():
            raise HTTPException(422, "name: empty, or has characters that cannot be printed")
        try:
            version, made = await compute(service.add_class, name, asked.semantics, limiter=adding)
        except Taken as error:
            raise HTTPException(409, str(error)) from None
        except Busy:
            raise HTTPException(
                503, "another class is being added; try again", {"Retry-After": "1"}
            ) from None
        except InputError as error:
            raise HTTPException(422, str(error)) from None
        counts.classes.set(len(version.classifier.classes))
        counts.added.inc()
        return Added(
            run=version.name,
            index=len(version.classifier.classes) - 1,
            name=name,
            before=_scores(made.before.to_dict()),
            after=_scores(made.after.to_dict()),
            seconds=round(made.seconds, 3),
            notes=list(made.notes),
        )

    return router


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """The first thing that is wrong with a request, in one line."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body") or "the body"
    detail = f"{place}: {first['msg']}"
    if first["type"] == "json_invalid":
        detail = f"the body: not JSON from character {place} on ({first['ctx']['error']})"
    elif first["loc"] == ("body",) and "json" not in request.headers.get("content-type", ""):
        detail = "the body: expected JSON, with Content-Type: application/json"
    return JSONResponse({"detail": detail}, 422)


def _predictions(version: Version, probabilities: NDArray[np.float64], top: int) -> Predictions:
    classifier = version.classifier
    unseen = set(classifier.unseen.tolist())
    count = min(top, len(classifier.classes))
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    predictions = [
        Prediction(
            classes=[
                Ranked(
                    index=int(c),
                    name=classifier.classes[c],
                    seen=int(c) not in unseen,
                    probability=min(1.0, float(row[c])),
                )
                for c in best
            ]
        )
        for row, best in zip(probabilities, order, strict=True)
    ]
    return Predictions(run=version.name, predictions=predictions)


def _class(version: Version, index: int) -> dict[str, Any]:
    classifier = version.classifier
    return {
        "index": index,
        "name": classifier.classes[index],
        "seen": not np.isin(index, classifier.unseen),
        "added": index >= version.trained,
    }


def _attributes(version: Version, index: int) -> list[Attribute]:
    semantics = version.semantics.astype(np.float64)
    low, high, mean, spread = (f(semantics, axis=0) for f in (np.min, np.max, np.mean, np.std))
    standing = (semantics[index] - mean) / np.where(spread > 0, spread, 1)
    return [
        Attribute(
            name=name,
            value=float(semantics[index, d]),
            low=float(low[d]),
            high=float(high[d]),
            standing=float(standing[d]),
        )
        for d, name in enumerate(version.dimensions)
    ]


def _scores(told: dict[str, Any]) -> Scores:
    return Scores(U=told["U"], S=told["S"], H=told["H"])
