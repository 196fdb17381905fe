"""The access question: may this user use this feature now?"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.adapters.http.access.schemas import AccessOut, AllAccessOut
from smp.adapters.http.authentication import RequestAuthenticator
from smp.adapters.http.parameters import bad_parameter, user_id_of
from smp.application.caller import Caller
from smp.application.execution import Handler
from smp.application.queries.check_access import CheckAccess
from smp.application.queries.list_access import ListAccess
from smp.application.queries.views import AccessView
from smp.domain.access import AccessDecision
from smp.domain.features import is_feature_key


@dataclass(frozen=True, slots=True)
class AccessEndpoint:
    """The handlers of the access question; made once.

    Each method takes the caller and the parameters of its path.
    """

    request_authenticator: RequestAuthenticator
    check_access: Handler[CheckAccess, AccessDecision]
    list_access: Handler[ListAccess, AccessView]

    async def check_own(self, caller: Caller, feature: str) -> AccessOut:
        """Return whether the caller may use the feature."""
        return await self._check(caller, caller.user_id, feature)

    async def check_of_user(self, caller: Caller, user_id: str, feature: str) -> AccessOut:
        """Return whether the user may use the feature. Raises UserNotFound."""
        return await self._check(caller, user_id_of(user_id), feature)

    async def list_own(self, caller: Caller) -> AllAccessOut:
        """Return everything that the caller may use."""
        return await self._list(caller, caller.user_id)

    async def list_of_user(self, caller: Caller, user_id: str) -> AllAccessOut:
        """Return everything that the user may use. Raises UserNotFound."""
        return await self._list(caller, user_id_of(user_id))

    async def _check(self, caller: Caller, user_id: UUID, feature: str) -> AccessOut:
        if not is_feature_key(feature):
            raise bad_parameter("feature", "must be a key of a-z, 0-9, _ . - that begins with a letter")
        return AccessOut.of(feature, await self.check_access(CheckAccess(user_id, feature), caller))

    async def _list(self, caller: Caller, user_id: UUID) -> AllAccessOut:
        return AllAccessOut.of(await self.list_access(ListAccess(user_id), caller))
