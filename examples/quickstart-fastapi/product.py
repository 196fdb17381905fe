"""A product's back end that asks SMP whether a user may use a feature."""

import os
from typing import Annotated
from uuid import UUID

import httpx
from fastapi import Depends, FastAPI, Header, HTTPException

smp = httpx.AsyncClient(
    base_url=os.environ.get("ENTITLEMENTS_URL", "http://127.0.0.1:8000"),
    headers={"Authorization": f"Bearer {os.environ['ENTITLEMENTS_KEY']}"},
    timeout=1,
)
app = FastAPI()


async def current_user(x_user_id: Annotated[UUID, Header()]):
    """Return SMP's id of the signed-in user. Replace this with your own sign-in: a header proves nothing."""
    return x_user_id


def feature(name):
    """Require a feature; the route receives its value."""

    async def value(user_id: Annotated[UUID, Depends(current_user)]):
        try:
            response = await smp.get(f"/v1/users/{user_id}/access/{name}")
            if response.status_code == 404:
                raise HTTPException(403, "user_not_found")
            answer = response.raise_for_status().json()
        except httpx.HTTPError as error:
            raise HTTPException(503, "entitlements_unavailable", {"Retry-After": "2"}) from error
        if not answer["allowed"]:
            raise HTTPException(403, answer["reason"])
        return answer["value"]

    return Depends(value)


@app.get("/export", dependencies=[feature("export")])
async def export():
    return {"rows": [1, 2, 3]}


@app.get("/seats")
async def seats(limit: Annotated[int, feature("seats")]):
    return {"seats": limit}
