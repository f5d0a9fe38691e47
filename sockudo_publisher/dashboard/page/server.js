// Requests to the dashboard's own API. Errors have the server's text as their message.

const TIMEOUT_MS = 60000;

async function request(path, options) {
  let response;
  try {
    response = await fetch(`api/${path}`, { ...options, credentials: "same-origin", signal: AbortSignal.timeout(options.timeout) });
  } catch {
    throw new Error("the dashboard does not answer");
  }
  if (response.status === 401) {
    location.assign("login");
    throw new Error("signed out");
  }
  let answer;
  try {
    answer = await response.json();
  } catch {
    throw new Error(`the dashboard answered with status ${response.status}`);
  }
  if (!response.ok) throw new Error(answer.error || `status ${response.status}`);
  return answer;
}

export function get(path, values = {}, timeout = TIMEOUT_MS) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "" && value !== null));
  return request(`${path}?${query}`, { timeout });
}

export function post(path, values) {
  return request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(values),
    timeout: 10 * TIMEOUT_MS,
  });
}
