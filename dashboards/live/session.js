// Asking the API as who has signed in: an ended sign-in is renewed by its cookie, or the page asks who it is.

const form = document.getElementById("sign-in");
const error = document.getElementById("sign-in-error");
let renewing = null;

// `fetch`, and once more after signing in where the API answers 401.
export async function ask(url, options = {}) {
  const answer = await fetch(url, { cache: "no-store", ...options });
  if (answer.status !== 401) return answer;
  await renew();
  return fetch(url, { cache: "no-store", ...options });
}

// Ends once this browser is signed in; all who wait for it wait for one.
export function renew() {
  renewing ??= renewOnce().finally(() => { renewing = null; });
  return renewing;
}

export async function showWho() {
  const me = await (await ask("/v1/auth/me")).json();
  document.getElementById("who").textContent = me.user ? me.name : "";
  document.getElementById("sign-out").hidden = !me.user;
}

async function renewOnce() {
  const answer = await fetch("/v1/auth/refresh", { method: "POST" });
  if (answer.ok) return;
  if (answer.status >= 500) throw new Error("the API is away");
  await askWho();
  showWho();
}

function askWho() {
  document.body.dataset.asks = "who";
  form.hidden = false;
  form.email.focus();
  return new Promise((done) => {
    form.onsubmit = async (event) => {
      event.preventDefault();
      const problem = await signIn();
      error.textContent = problem ?? "";
      error.hidden = !problem;
      if (problem) return form.password.select();
      form.reset();
      form.hidden = true;
      delete document.body.dataset.asks;
      done();
    };
  });
}

// What is wrong, in a sentence; null once it is done.
async function signIn() {
  form.querySelector("button").disabled = true;
  try {
    const body = JSON.stringify({ email: form.email.value.trim(), password: form.password.value });
    const answer = await fetch("/v1/auth/sign-in", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    return answer.ok ? null : (await answer.json()).detail;
  } catch {
    return "Metrica does not answer. Try again in a moment.";
  } finally {
    form.querySelector("button").disabled = false;
  }
}

document.getElementById("sign-out").addEventListener("click", async () => {
  await fetch("/v1/auth/sign-out", { method: "POST" });
  location.reload();
});
