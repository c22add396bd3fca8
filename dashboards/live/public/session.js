// Asking the API as who has signed in: an ended sign-in is renewed by its cookie, or the page asks who it is.

const form = document.getElementById("sign-in");
const error = document.getElementById("sign-in-error");
const codeField = document.getElementById("sign-in-code");
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

// Also leads on to the second factor that somebody needs before they may see anything.
export async function showWho() {
  const me = await (await ask("/v1/auth/me")).json();
  document.getElementById("who").textContent = me.user ? me.name : "";
  document.getElementById("sign-out").hidden = !me.user;
  const account = document.getElementById("account");
  if (!account) return me; // that page itself
  account.hidden = !me.user;
  if (!me.second_factor_needed_in?.length && !me.second_factor_needed_as_superadmin) return me;
  account.textContent = "Second factor needed";
  if (!me.superadmin && !Object.keys(me.roles).length) location.replace(account.href);
  return me;
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
      const asked = problem?.code === "second_factor_needed" && codeField.hidden;
      if (problem?.code?.startsWith("second_factor_")) showCode(true);
      error.textContent = problem && !asked ? problem.detail : "";
      error.hidden = !error.textContent;
      if (problem) return (problem.code?.startsWith("second_factor_") ? form.code : form.password).select();
      form.reset();
      showCode(false);
      form.hidden = true;
      delete document.body.dataset.asks;
      done();
    };
  });
}

function showCode(shown) {
  codeField.hidden = !shown;
  form.code.required = shown;
}

// The problem (RFC 9457); null once it is done.
async function signIn() {
  form.querySelector("button").disabled = true;
  try {
    const body = JSON.stringify({ email: form.email.value.trim(), password: form.password.value, code: form.code.value.trim() || undefined });
    const answer = await fetch("/v1/auth/sign-in", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    return answer.ok ? null : await answer.json();
  } catch {
    return { detail: "Metrica does not answer. Try again in a moment." };
  } finally {
    form.querySelector("button").disabled = false;
  }
}

document.getElementById("sign-out").addEventListener("click", async () => {
  await fetch("/v1/auth/sign-out", { method: "POST" });
  location.reload();
});
