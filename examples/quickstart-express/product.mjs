// A product's back end that asks SMP whether a user may use a feature.

import express from "express";

const URL_OF_SMP = process.env.ENTITLEMENTS_URL ?? "http://127.0.0.1:8000";
const HEADERS = { Authorization: `Bearer ${process.env.ENTITLEMENTS_KEY}` };
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

// SMP's id of the signed-in user. Replace this with your own sign-in: a header proves nothing.
function currentUser(request) {
  const id = request.get("X-User-Id") ?? "";
  return UUID.test(id) ? id : null;
}

// Require a feature; the handler finds its value in request.feature.
function requires(name) {
  return async (request, response, next) => {
    const user = currentUser(request);
    if (user === null) {
      return response.status(422).json({ detail: "X-User-Id must be a user's id" });
    }
    let answer;
    try {
      const reply = await fetch(`${URL_OF_SMP}/v1/users/${user}/access/${name}`, {
        headers: HEADERS,
        signal: AbortSignal.timeout(1000),
      });
      if (reply.status === 404) {
        return response.status(403).json({ detail: "user_not_found" });
      }
      if (!reply.ok) {
        throw new Error(`SMP answered ${reply.status}`);
      }
      answer = await reply.json();
    } catch (error) {
      console.error(error);
      return response.status(503).set("Retry-After", "2").json({ detail: "entitlements_unavailable" });
    }
    if (!answer.allowed) {
      return response.status(403).json({ detail: answer.reason });
    }
    request.feature = answer.value;
    next();
  };
}

const app = express();
app.get("/export", requires("export"), (request, response) => response.json({ rows: [1, 2, 3] }));
app.get("/seats", requires("seats"), (request, response) => response.json({ seats: request.feature }));
app.listen(Number(process.env.PORT ?? 9002), "127.0.0.1");
