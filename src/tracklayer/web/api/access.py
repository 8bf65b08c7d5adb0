"""`/v1/secrets` and `/v1/api-keys`."""

from __future__ import annotations

import msgspec
from litestar import Controller, Response, delete, get, post, put

from tracklayer.service import Service
from tracklayer.web.api.views import KeyView, Page, SecretView, key_view, secret_view
from tracklayer.web.auth import caller, requires
from tracklayer.web.exchange import ApiRequest, ApiResponse


class SecretDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A secret's value; it is never read back."""

    value: str


class KeyDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be made."""

    name: str
    scopes: list[str]


class SecretsController(Controller):
    """Secrets: written, never read."""

    path = "/v1/secrets"
    tags = ("secrets",)

    @get("/", guards=[requires("destinations:read")])
    async def all(self, request: ApiRequest, service: Service) -> Page[SecretView]:
        """Names and hints."""
        workspace_id = caller(request.scope).workspace_id
        secrets = service.secrets.all(workspace_id)
        return Page(data=[secret_view(each, service.secrets.users(workspace_id, each.name)) for each in secrets])

    @get("/{name:str}", guards=[requires("destinations:read")])
    async def one(self, request: ApiRequest, service: Service, name: str) -> SecretView:
        """One name and hint."""
        workspace_id = caller(request.scope).workspace_id
        return secret_view(service.secrets.get(workspace_id, name), service.secrets.users(workspace_id, name))

    @put("/{name:str}", guards=[requires("destinations:write")])
    async def write(self, request: ApiRequest, service: Service, name: str, data: SecretDraft) -> SecretView:
        """Store or replace a value."""
        key = caller(request.scope)
        secret = await service.secrets.put(key.workspace_id, name, data.value, author=key.name)
        return secret_view(secret, service.secrets.users(key.workspace_id, name))

    @delete("/{name:str}", guards=[requires("destinations:write")])
    async def remove(self, request: ApiRequest, service: Service, name: str) -> None:
        """Forget a value; refused while a destination uses it."""
        key = caller(request.scope)
        await service.secrets.remove(key.workspace_id, name, author=key.name)


class KeysController(Controller):
    """API keys: shown once."""

    path = "/v1/api-keys"
    tags = ("API keys",)
    guards = (requires("admin"),)

    @get("/")
    async def all(self, request: ApiRequest, service: Service) -> Page[KeyView]:
        """Every key of the workspace, without the keys themselves."""
        return Page(data=[key_view(each) for each in service.keys.all(caller(request.scope).workspace_id)])

    @post("/")
    async def create(self, request: ApiRequest, service: Service, data: KeyDraft) -> Response[KeyView]:
        """Make a key; this answer is the only one that shows it."""
        by = caller(request.scope)
        record, key = await service.keys.create(by.workspace_id, name=data.name, scopes=data.scopes, author=by.name)
        return ApiResponse(key_view(record, key), status_code=201, headers={"Cache-Control": "no-store"})

    @delete("/{key_id:str}")
    async def remove(self, request: ApiRequest, service: Service, key_id: str) -> None:
        """Revoke a key at once."""
        key = caller(request.scope)
        await service.keys.remove(key.workspace_id, key_id, author=key.name)
