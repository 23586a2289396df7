"""What all requests and answers of the API have in common: bounds, strictness, the error form."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Annotated, Any, Final, TypeVar, cast

from flask import Response, jsonify
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from flask_openapi3.types import ResponseDict
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from exporter.errors import UnknownError

#: Larger whole numbers lose digits in JavaScript.
LARGEST_ID: Final = 2**53 - 1
#: Of lists, where nothing else is said.
LARGEST_PAGE: Final = 1000

Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
UnixTime = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
#: Pairs of the model as an object of JSON.
Pairs = Annotated[dict[str, float], BeforeValidator(lambda pairs: dict(pairs or ()))]
Labels = Annotated[dict[str, str], BeforeValidator(dict)]
#: Put to a currency: it may be written small.
CURRENCY: Final = BeforeValidator(lambda value: value.strip().upper() if isinstance(value, str) else value)
#: Put to a type of words: takes the members of the model's enumerations too.
WORD: Final = BeforeValidator(lambda value: value.value if isinstance(value, enum.Enum) else value)


def extras(**given: Any) -> ConfigDict:
    """Settings of a model with what the document says beside its schema: example, headers."""
    return cast(ConfigDict, {"openapi_extra": given})


class Body(BaseModel):
    """The body of a request: types as in JSON, no unknown key, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Query(BaseModel):
    """What stands behind the question mark; an unknown name is a fault, since it is mostly a misspelt one."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class PageQuery(Query):
    """Which part of a list."""

    limit: int = Field(100, ge=1, le=LARGEST_PAGE, description="At most so many.")
    offset: int = Field(0, ge=0, le=LARGEST_ID, description="Leave out so many first.")


class ListQuery(PageQuery):
    """Which part of a list that is mostly short."""

    limit: int = Field(LARGEST_PAGE, ge=1, le=LARGEST_PAGE, description="At most so many.")


class Answer(BaseModel):
    """The body of an answer, made of a value of the engine's."""

    model_config = ConfigDict(extra="forbid", from_attributes=True, hide_input_in_errors=True)


class ErrorAnswer(Answer):
    """Every error of the API has this form."""

    error: str = Field(description="What is wrong and what to do.")
    field: str | None = Field(None, description="The field of the body, the query or the path that it is about.")


class MinerPath(BaseModel):
    """The miner."""

    miner_id: Id = Field(description="Id of a miner.", json_schema_extra={"example": 1})


class UsbMinerPath(BaseModel):
    """The miner on USB."""

    miner_id: Id = Field(description="Id of a miner on USB.", json_schema_extra={"example": 9})


AnswerType = TypeVar("AnswerType", bound=Answer)
ItemType = TypeVar("ItemType")


def told(model: type[AnswerType], value: Any, status: int = 200, **headers: str) -> Response:
    """`value` as the answer `model`."""
    return made(model.model_validate(value).model_dump(mode="json"), status, **headers)


def told_all(model: type[AnswerType], values: Any, total: int | None = None) -> Response:
    """Values as a list of the answer `model`, with the number of all that there are."""
    listed = [model.model_validate(value).model_dump(mode="json") for value in values]
    return made(listed, X_Total_Count=str(len(listed) if total is None else total))


def told_part(model: type[AnswerType], values: Sequence[Any], query: PageQuery) -> Response:
    """The part of a list that `query` asks for, with the number of all that there are."""
    return told_all(model, part(values, query), len(values))


def part(values: Sequence[ItemType], query: PageQuery) -> Sequence[ItemType]:
    """The entries of a list that `query` asks for."""
    return values[query.offset : query.offset + query.limit]


def made(document: Any, status: int = 200, **headers: str) -> Response:
    """A JSON answer; an underscore in the name of a header stands for a hyphen."""
    response = jsonify(document)
    response.status_code = status
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return response


def nothing() -> Response:
    """204: done, and nothing to say."""
    return Response(status=204)


def found(value: AnswerSource | None, what: str, number: object) -> AnswerSource:
    """`value`, or `UnknownError` saying that no `what` has the id."""
    if value is None:
        raise UnknownError(f"no {what} has the id {number}")
    return value


AnswerSource = TypeVar("AnswerSource")

#: The headers of answers that are lists.
COUNTED: Final = {"X-Total-Count": {"description": "How many there are in all.", "schema": {"type": "integer"}}}
#: The header of answers to what made something new.
LOCATED: Final = {"Location": {"description": "Where the new one is.", "schema": {"type": "string"}}}


def blueprint(name: str, tag: str, description: str) -> APIBlueprint:
    """A part of the API whose operations are called as their functions."""
    return APIBlueprint(
        f"api_{name}",
        __name__,
        url_prefix="/api",
        abp_tags=[Tag(name=tag, description=description)],
        operation_id_callback=_operation_id,
    )


def _operation_id(*, name: str, path: str, method: str) -> str:
    return name


def answers(
    model: type[BaseModel] | None = None, status: int = 200, *, errors: tuple[int, ...] = (), **more: Any
) -> ResponseDict:
    """The answers of an operation for the document: the good one, and errors beyond those that every one can give.

    Args:
        model: of the body; None for none (204).
        status: of the good answer.
        errors: status codes, in the form `ErrorAnswer`.
        more: `description` and `headers` of the good answer.
    """
    good: dict[str, Any] | type[BaseModel] | None = model
    listed: ResponseDict = {status: good}
    for code in errors:
        listed[code] = None
    if more and model is not None:
        # The library reads them from the model; one model may answer with several headers.
        model = type(model.__name__, (model,), {"model_config": extras(**more), "__doc__": model.__doc__})
        listed[status] = model
    return listed
