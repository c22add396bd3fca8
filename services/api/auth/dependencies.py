"""Dependencies of endpoints on authentication: the principal, and quotas in its name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated

from fastapi import Depends, Header, Request

from services.api.access.principal import LOCAL, Principal
from services.api.auth.authenticator import Authenticator
from services.api.auth.passwords.hashing import Passwords
from services.api.auth.passwords.strength import Judge
from services.api.auth.second_factor.factors import SecondFactors
from services.api.auth.service import SignIns
from services.api.auth.tokens.api_keys import EdgeWorker
from services.api.auth.tokens.signing_keys import SigningKeys
from services.api.change_quota import ChangeQuota
from services.api.dependencies import component
from services.api.http.problems import Unauthorized
from services.api.quotas import QuotaKind, Quotas
from services.kit.network.client_addresses import client_network

Hold = Callable[[QuotaKind, str], AbstractContextManager[None]]
"""Takes one of a kind from an organization's quota while the context lasts; see `services.api.quotas`."""

AuthenticatorDep = Annotated[Authenticator, component("authenticator")]
SignInsDep = Annotated[SignIns, component("sign_ins")]
PasswordsDep = Annotated[Passwords, component("passwords")]
JudgeDep = Annotated[Judge, component("judge")]
SecondFactorsDep = Annotated[SecondFactors, component("second_factors")]
SigningKeysDep = Annotated[SigningKeys, component("signing_keys")]
ChangeQuotaDep = Annotated[ChangeQuota, component("change_quota")]
QuotasDep = Annotated[Quotas, component("quotas")]


async def principal(request: Request, authenticator: AuthenticatorDep) -> Principal:
    """The request's principal."""
    return await authenticator.identify(request)


async def guest(request: Request, authenticator: AuthenticatorDep) -> Principal | None:
    """The request's principal, or None without a sign-in: routes for holders of a one-time link accept both."""
    try:
        caller = await authenticator.identify(request)
    except Unauthorized:
        return None
    return None if caller is LOCAL else caller


async def worker(
    authenticator: AuthenticatorDep,
    x_worker_key: Annotated[str | None, Header(description="The key of a worker at the edge.")] = None,
) -> EdgeWorker:
    """The edge worker that sends the request."""
    return await authenticator.identify_worker(x_worker_key)


PrincipalDep = Annotated[Principal, Depends(principal)]
GuestDep = Annotated[Principal | None, Depends(guest)]
WorkerDep = Annotated[EdgeWorker, Depends(worker)]


def count_change(principal: PrincipalDep, change_quota: ChangeQuotaDep) -> None:
    """Count a change that is made without `services.api.auth.writing`."""
    change_quota.count(principal)


def hold(request: Request, principal: PrincipalDep, quotas: QuotasDep) -> Hold:
    """A function that takes from a quota, in the principal's name."""
    address = client_network(request.scope)
    return lambda kind, organization: quotas.hold(kind, principal, organization, address)


HoldDep = Annotated[Hold, Depends(hold)]
ChangeCounted = Depends(count_change)
