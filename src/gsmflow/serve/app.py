"""The routes of the service and their answers, errors included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Body, Depends, FastAPI, HTTPException, Path, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline

from gsmflow.base.errors import InputError
from gsmflow.base.version import __version__
from gsmflow.data.lending import Setting
from gsmflow.data.warnings import recorded
from gsmflow.serve import answers
from gsmflow.serve.counting import TYPE, Counting, Counts
from gsmflow.serve.limits import Guard, Limits
from gsmflow.serve.messages import (
    MOST_SHOWN,
    Added,
    Class,
    ClassDetail,
    Classes,
    Error,
    Health,
    KeptSamples,
    NewClass,
    Predictions,
    Run,
    SampleDetail,
    Samples,
)
from gsmflow.serve.pages import page
from gsmflow.serve.request_examples import examples
from gsmflow.serve.service import Busy, Service, Taken

T = TypeVar("T")

_DESCRIPTION = (
    "Every answer names the version of the run that gave it. A wrong request is answered by a status from 400 on "
    'and `{"detail": "..."}`, one line that says what and where.'
)
_TAGS = [
    {"name": "Label", "description": "Label a picture or samples."},
    {"name": "Classes", "description": "What classes there are, what describes them, and how to add one."},
    {"name": "Samples", "description": "Test samples stored with the run, to try it with."},
    {"name": "Service", "description": "The run that is served, the state of the service, and its counters."},
]
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
    return {code: {"model": Error, "description": _REASONS[code]} for code in sorted({*_ALWAYS, *more})}


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
        summary="Labels pictures and features, and learns new classes by their description alone.",
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        generate_unique_id_function=lambda route: route.name,
    )
    app.include_router(page())
    app.include_router(_answers(service, limits, counts, read_only))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_middleware(Guard, limits=limits)
    app.add_middleware(Counting, counts=counts)
    return app


def _answers(service: Service, limits: Limits, counts: Counts, read_only: bool) -> APIRouter:
    # The guard checks the token before anything is read; this only says so in the OpenAPI description.
    router = APIRouter(dependencies=[Depends(HTTPBearer(auto_error=False))] if limits.token else [])
    sample_body, class_body = (Body(openapi_examples=each) for each in examples(service))
    computing, adding = CapacityLimiter(limits.computing), CapacityLimiter(1)

    async def compute(function: Callable[..., T], *arguments: Any, limiter: CapacityLimiter = computing) -> T:
        """Run a function in a thread, a limited number at a time. A request that ran out of time is not waited for."""
        return await to_thread.run_sync(function, *arguments, limiter=limiter, abandon_on_cancel=True)

    @router.post(
        "/v1/predict/image", tags=["Label"], summary="Label a picture", responses=_refusals(409, 422)
    )
    async def label_picture(
        image: UploadFile,
        top: Annotated[int, Query(ge=1, le=MOST_SHOWN, description="Classes listed.")] = 3,
        explain: Annotated[
            int, Query(ge=0, le=MOST_SHOWN, description="How many of the attributes that decided to list.")
        ] = 0,
    ) -> Predictions:
        """The most probable classes of an image file."""
        if service.extractor is None:
            raise HTTPException(409, f"{service.no_images}; send features to /v1/predict")
        try:
            version, logits = await compute(service.of_image, await image.read())
        except InputError as error:
            raise HTTPException(422, str(error)) from None
        counts.samples.inc()
        return await compute(answers.predictions, version, logits, top, explain)

    @router.post("/v1/predict", tags=["Label"], summary="Label samples", responses=_refusals(422))
    async def label_samples(asked: Samples = sample_body) -> Predictions:
        """The most probable classes of samples, each given by its features."""
        try:
            version, logits = await compute(service.logits, asked.features)
        except InputError as error:
            raise HTTPException(422, str(error)) from None
        counts.samples.inc(len(logits))
        return await compute(answers.predictions, version, logits, asked.top, asked.explain)

    @router.get("/v1/classes", tags=["Classes"], summary="List all classes", responses=_refusals())
    async def list_classes() -> Classes:
        """All classes, in the order of their indices."""
        version = service.version
        count = len(version.classifier.classes)
        return Classes(
            run=version.name, classes=[Class(**answers.class_of(version, index)) for index in range(count)]
        )

    @router.get(
        "/v1/classes/{index}", tags=["Classes"], summary="Describe a class", responses=_refusals(404, 422)
    )
    async def get_class(index: Annotated[int, Path(ge=0)]) -> ClassDetail:
        """One class and its semantics."""
        version = service.version
        if index >= len(version.classifier.classes):
            raise HTTPException(404, f"no class {index}; there are {len(version.classifier.classes)}")
        described = answers.attributes(version, index)
        return ClassDetail(**answers.class_of(version, index), attributes=described)

    @router.post(
        "/v1/classes",
        status_code=201,
        tags=["Classes"],
        summary="Add a class",
        responses=_refusals(403, 409, 422),
    )
    async def add_class(asked: NewClass = class_body) -> Added:
        """Add a class by its description alone. A new version of the run is written, and answers from then on."""
        if read_only:
            raise HTTPException(403, "this service was started with --read-only and takes no new classes")
        name = asked.name.strip()
        if not name or not name.isprintable():
            raise HTTPException(422, "name: empty, or has characters that cannot be printed")
        try:
            semantics = await compute(service.described, asked.semantics, asked.like, asked.text, name)
            version, addition = await compute(service.add_class, name, semantics, limiter=adding)
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
            before=answers.scores(addition.before.to_dict()),
            after=answers.scores(addition.after.to_dict()),
            seconds=round(addition.seconds, 3),
            notes=list(addition.notes),
        )

    @router.get("/v1/examples", tags=["Samples"], summary="List the test samples", responses=_refusals())
    async def list_samples() -> KeptSamples:
        """Test samples stored with the run. None of them was trained on."""
        stored = service.examples
        if stored is None:
            return KeptSamples(image_shape=None, examples=[])
        return KeptSamples(image_shape=stored.image_shape, examples=answers.samples(service.version, stored))

    @router.get(
        "/v1/examples/{index}",
        tags=["Samples"],
        summary="Get a test sample's features",
        responses=_refusals(404, 422),
    )
    async def get_sample(index: Annotated[int, Path(ge=0)]) -> SampleDetail:
        """The features of one of them."""
        stored = service.examples
        count = 0 if stored is None else len(stored.labels)
        if stored is None or index >= count:
            raise HTTPException(404, f"no example {index}; there are {count}")
        return SampleDetail(index=index, label=int(stored.labels[index]), features=service.example(index))

    @router.get("/v1/run", tags=["Service"], summary="What is served", responses=_refusals())
    async def get_run() -> Run:
        """The run, its classes and its scores, and what can be asked of it."""
        version = service.version
        told, classifier = version.metrics, version.classifier
        return Run(
            run=version.name,
            problem=told["problem"],
            method=told["method"],
            setting=told.get("setting", Setting.INDUCTIVE.value),
            protocol=told["protocol"],
            feature_dim=classifier.transform.in_dim,
            feature_names=list(version.feature_names or ()),
            dimensions=list(version.dimensions),
            seen=len(classifier.classes) - len(classifier.unseen),
            unseen=len(classifier.unseen),
            takes_images=service.extractor is not None,
            no_images="" if service.extractor else service.no_images,
            adds_classes=not read_only,
            takes_text=service.encode is not None,
            has_attributes=bool(version.describer.by_hand),
            scores=answers.scores(told),
            warnings=[concern.text for concern in recorded(told)],
        )

    @router.get("/health", tags=["Service"], summary="Whether it is up", responses=_refusals())
    async def get_health() -> Health:
        """Whether the service is up, and whether a class is being added right now."""
        version = service.version
        return Health(
            status="ok",
            run=version.name,
            classes=len(version.classifier.classes),
            adding=service.adding,
        )

    @router.get(
        "/metrics",
        tags=["Service"],
        summary="Prometheus metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}},
    )
    async def get_metrics() -> Response:
        """Requests, times and samples, in Prometheus' text format."""
        return Response(counts.text(), media_type=TYPE)

    return router


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """The first thing that is wrong with a request, in one line."""
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    # A sample is a list or an object: what is wrong within it says more than that it is not the other of the two.
    first = max(errors, key=lambda each: len(each["loc"]) if each["loc"][:3] == errors[0]["loc"][:3] else 0)
    parts = [str(part) for part in first["loc"] if part != "body"]
    place = ".".join(part for part in parts if not part.startswith(("list[", "dict["))) or "the body"
    detail = f"{place}: {first['msg']}"
    if first["type"] == "json_invalid":
        detail = f"the body: not JSON from character {place} on ({first['ctx']['error']})"
    elif first["loc"] == ("body",) and "json" not in request.headers.get("content-type", ""):
        detail = "the body: expected JSON, with Content-Type: application/json"
    return JSONResponse({"detail": detail}, 422)
