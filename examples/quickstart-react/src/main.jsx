import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";

// Call SMP on this page's own origin, so that the browser sends the session cookie.
async function call(path, body) {
  const sent = body && {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() },
    body: JSON.stringify(body),
  };
  const response = await fetch(`/v1${path}`, sent);
  const document = response.status === 204 ? null : await response.json();
  if (!response.ok) {
    throw Object.assign(new Error(document.detail), { status: response.status });
  }
  return document;
}

const price = ({ amount, currency }) => {
  const format = new Intl.NumberFormat("en", { style: "currency", currency });
  return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
};

function SignIn({ onDone, onError }) {
  const submit = async (event) => {
    event.preventDefault();
    const account = Object.fromEntries(new FormData(event.target));
    try {
      if (event.nativeEvent.submitter?.value === "register") {
        await call("/auth/register", account);
      }
      await call("/auth/login", account);
      await onDone();
    } catch (error) {
      onError(error);
    }
  };
  return (
    <form onSubmit={submit}>
      <label>Email <input name="email" type="email" autoComplete="username" required /></label>
      <label>Password <input name="password" type="password" autoComplete="current-password" required /></label>
      <button value="login">Sign in</button>
      <button value="register">Register</button>
    </form>
  );
}

function App() {
  const [plans, setPlans] = useState([]);
  const [access, setAccess] = useState(null);
  const [error, setError] = useState(null);

  const load = async () => {
    setPlans((await call("/plans")).items);
    try {
      setAccess(await call("/me/access"));
    } catch (refusal) {
      if (refusal.status !== 401) throw refusal;
      setAccess(null);
    }
    setError(null);
  };
  const run = (action) => action().then(load).catch(setError);
  useEffect(() => void run(async () => {}), []);

  return (
    <>
      {error && <p role="alert">{error.message}</p>}
      {access ? (
        <button onClick={() => run(() => call("/auth/logout", {}))}>Sign out</button>
      ) : (
        <SignIn onDone={load} onError={setError} />
      )}
      <h1>Plans</h1>
      <ul>
        {plans.map((plan) => (
          <li key={plan.id}>
            {plan.name}, {price(plan.price)} {plan.period && `each ${plan.period}`}
            {access && plan.trial_period && (
              <button onClick={() => run(() => call("/me/subscription/trial", { plan: plan.code }))}>
                Try {plan.name}
              </button>
            )}
          </li>
        ))}
      </ul>
      {access && (
        <>
          <h1>You may use</h1>
          <ul>
            {Object.entries(access.features).filter(([, value]) => value).map(([name, value]) => (
              <li key={name}>{name}: {String(value)}</li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}

createRoot(document.getElementById("root")).render(<App />);
