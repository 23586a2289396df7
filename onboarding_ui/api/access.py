"""Device passwords and tokens: lists that never show a secret."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Literal

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field, RootModel

from exporter.engine.client import EngineApi
from exporter.errors import ChangedError, FieldError
from exporter.store.rows import Credential
from exporter.store.secret import Secret
from onboarding_ui.api.shapes import (
    COUNTED,
    LARGEST_ID,
    Answer,
    Body,
    Id,
    ListQuery,
    UnixTime,
    answers,
    blueprint,
    extras,
    made,
    nothing,
    told_part,
)
from onboarding_ui.auth.tokens import new_token


class CredentialEntry(Body):
    """A device password to try."""

    id: Id | None = Field(None, description="Of the entry whose password stays, where `password` is null.")
    driver: str = Field(min_length=1, max_length=64, description="A `miner_type`, or * for all.")
    cidr: str | None = Field(None, max_length=64, description="Only in this network; null for all.")
    username: str | None = Field(None, max_length=64, description="Null for the driver's own.")
    password: str | None = Field(None, max_length=256, description="Null keeps the one that is stored.")


class CredentialsPut(Body):
    """The whole list, in the order in which it is tried."""

    model_config = extras(
        example={
            "version": 2,
            "credentials": [
                {"id": 1, "driver": "vnish", "cidr": "10.1.0.0/22", "password": None},
                {"driver": "antminer", "username": "root", "password": "a new one"},
            ],
        }
    )

    credentials: list[CredentialEntry] = Field(max_length=256)
    version: int | None = Field(
        None,
        ge=0,
        le=LARGEST_ID,
        description="Of the list that was read: 409 where it is another one by now. Without it, any list is replaced.",
    )


class CredentialAnswer(Answer):
    """A device password that is tried, without itself."""

    id: int = Field(description="Until the list changes.")
    driver: str
    cidr: str | None
    username: str | None
    password: None = Field(description="Never shown.")


class CredentialsAnswer(Answer):
    """Device passwords, in the order in which they are tried."""

    credentials: list[CredentialAnswer]
    version: int = Field(description="Another one after each change, as are the ids.")


class TokenPath(BaseModel):
    """The token."""

    token_id: Id = Field(description="Id of a token.", json_schema_extra={"example": 1})


class TokenAnswer(Answer):
    """A token, without itself."""

    id: int
    name: str
    scope: Literal["read", "full"]
    created_at: float | None
    expires_at: float | None


class TokenList(RootModel[list[TokenAnswer]]):
    """Tokens."""


class NewTokenAnswer(TokenAnswer):
    """A token that was just made."""

    token: str = Field(description="Shown now and never again.")


class TokenAdd(Body):
    """A token to make."""

    model_config = extras(example={"name": "Grafana", "scope": "read"})

    name: str = Field(min_length=1, max_length=64)
    scope: Literal["read", "full"] = "read"
    expires_at: UnixTime | None = Field(None, description="Null: until it is revoked.")


_CHANGED: Final = "the list was changed since you read it, maybe by somebody else; load it again and repeat your change"


def version_of(credentials: Sequence[Credential]) -> int:
    """Tells the list from what it was and will be: every change gives new, higher ids. 0 for the empty list."""
    return max((one.id for one in credentials), default=0)


def merged(entries: Sequence[CredentialEntry], stored: Sequence[Credential]) -> list[Credential]:
    """The list with the stored passwords where an entry keeps its own.

    Raises:
        FieldError: an entry has neither a password nor an id.
        ChangedError: an entry keeps the password of an id that is not in the list any more.
    """
    kept = {credential.id: credential.password for credential in stored}
    made_of = []
    for place, entry in enumerate(entries):
        if entry.password is None and entry.id is None:
            field = f"credentials.{place}.password"
            raise FieldError(f"{field}: is needed for a new entry; null keeps that of the entry named by id", field)
        password = kept.get(entry.id or 0) if entry.password is None else Secret(entry.password)
        if password is None:
            raise ChangedError(_CHANGED, f"credentials.{place}.id")
        made_of.append(Credential(entry.driver, password, entry.cidr or None, entry.username or None))
    return made_of


def credentials_answer(credentials: Sequence[Credential]) -> Response:
    """The list without the passwords."""
    listed = [
        CredentialAnswer(id=one.id, driver=one.driver, cidr=one.cidr, username=one.username, password=None)
        for one in credentials
    ]
    answer = CredentialsAnswer(credentials=listed, version=version_of(credentials))
    return made(answer.model_dump(mode="json"))


def access_api(engine: EngineApi) -> APIBlueprint:
    """The blueprint."""
    api = blueprint("access", "Access", "Device passwords, and tokens for this API.")

    @api.get("/settings/credentials", summary="List device passwords", responses=answers(CredentialsAnswer))
    def list_credentials() -> Response:
        """In the order in which they are tried; no password is shown."""
        return credentials_answer(engine.program.credentials())

    @api.put(
        "/settings/credentials",
        summary="Replace device passwords",
        responses=answers(CredentialsAnswer, errors=(409,)),
    )
    def put_credentials(body: CredentialsPut) -> Response:
        """Miners that refused their password are tried again."""
        stored = engine.program.credentials()
        if body.version is not None and body.version != version_of(stored):
            raise ChangedError(_CHANGED, "version")
        wanted = merged(body.credentials, stored)
        built_on_it = body.version is not None or any(entry.password is None for entry in body.credentials)
        return credentials_answer(engine.program.set_credentials(wanted, stored if built_on_it else None))

    @api.get("/tokens", summary="List tokens", responses=answers(TokenList, headers=COUNTED))
    def list_tokens(query: ListQuery) -> Response:
        """Only hashes are kept, so no token is shown."""
        listed = [
            {name: getattr(one, name) for name in ("id", "name", "scope", "created_at", "expires_at")}
            for one in engine.access.tokens()
        ]
        return told_part(TokenAnswer, listed, query)

    @api.post(
        "/tokens",
        summary="Make a token",
        responses=answers(NewTokenAnswer, 201, errors=(409,), description="The token, this once."),
    )
    def add_token(body: TokenAdd) -> Response:
        """`read` allows GET requests, `full` everything."""
        if body.expires_at is not None and body.expires_at <= time.time():
            raise FieldError("expires_at: must lie in the future", "expires_at")
        text, token_hash = new_token()
        row = engine.access.add_token(body.name, token_hash, body.scope, body.expires_at)
        document = {
            "id": row.id,
            "name": row.name,
            "scope": row.scope,
            "created_at": row.created_at,
            "expires_at": row.expires_at,
            "token": text,
        }
        return made(document, 201)

    @api.delete("/tokens/<int:token_id>", summary="Revoke a token", responses=answers(status=204))
    def revoke_token(path: TokenPath) -> Response:
        """It is refused from now on."""
        engine.access.revoke_token(path.token_id)
        return nothing()

    return api
