"""`/v1/workspace`: the caller's own, and its rules."""

from __future__ import annotations

import msgspec
from litestar import Controller, get, put

from tracklayer.errors import at
from tracklayer.model.moment import rfc3339
from tracklayer.model.rules import WorkspaceRules
from tracklayer.service import Service
from tracklayer.web.auth import caller, requires
from tracklayer.web.exchange import ApiRequest


class WorkspaceView(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace."""

    id: str
    name: str
    created_at: str
    rules: WorkspaceRules


class WorkspaceDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of a workspace can be replaced: its rules, as a whole."""

    rules: WorkspaceRules


class WorkspaceController(Controller):
    """The workspace."""

    path = "/v1/workspace"
    tags = ("workspace",)
    guards = (requires("admin"),)

    @get("/")
    async def one(self, request: ApiRequest, service: Service) -> WorkspaceView:
        """Its name and its rules."""
        return _view(service, caller(request.scope).workspace_id)

    @put("/")
    async def replace(self, request: ApiRequest, service: Service, data: WorkspaceDraft) -> WorkspaceView:
        """Replace the rules, for events from now on; a rule that is left out is as from the start."""
        key = caller(request.scope)
        with at("rules"):
            await service.workspaces.save_rules(key.workspace_id, msgspec.to_builtins(data.rules), key.name)
        return _view(service, key.workspace_id)


def _view(service: Service, workspace_id: str) -> WorkspaceView:
    workspace = service.workspaces.workspace(workspace_id)
    return WorkspaceView(
        id=workspace.id,
        name=workspace.name,
        created_at=rfc3339(workspace.created_at),
        rules=service.workspaces.rules(workspace_id),
    )
