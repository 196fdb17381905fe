"""The rule of which subscriptions a caller may see, for queries that get the owner only from the database."""

from __future__ import annotations

from uuid import UUID

from smp.application.caller import Caller
from smp.application.queries.views import SubscriptionView
from smp.domain.errors import SubscriptionNotFound
from smp.domain.scopes import Scope


def require_visible(found: SubscriptionView | None, subscription_id: UUID, caller: Caller) -> SubscriptionView:
    """Return the subscription if the caller owns it or may read all subscriptions.

    Raises:
        SubscriptionNotFound: where there is none, or it belongs to another user.
    """
    if found is None or not (Scope.SUBSCRIPTIONS_READ in caller.scopes or caller.is_user(found.user_id)):
        raise SubscriptionNotFound(subscription_id)
    return found
