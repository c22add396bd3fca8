// What a link in a mail leads to: an invitation, or a new password. Without one, this page asks for a link.

const MAY = {
  viewer: "You will see its stores, counts and pictures.",
  manager: "You will see its stores, and change their cameras and lines.",
  admin: "You will see and change its stores, and say who else may.",
};
const ESTIMATE_AFTER = 400; // ms after the last key
const AWAY = "Metrica does not answer. Try again in a moment.";

const $ = (id) => document.getElementById(id);
const form = $("form");
let token = "";
let submit = null;
let estimating = null;

// ---- what is shown ----

function show({ title, about = "", fields, email, name, button, hint = "", work }) {
  $("title").textContent = title;
  $("about").textContent = about;
  $("about").hidden = !about;
  $("submit").textContent = button;
  $("hint").textContent = hint;
  for (const field of ["email", "name", "new", "present", "code"]) showField(field, fields.includes(field));
  $("strength").hidden = !fields.includes("new");
  $("show-field").hidden = !fields.includes("new") && !fields.includes("present");
  form.email.value = email ?? "";
  form.email.readOnly = Boolean(email);
  form.name.value = name ?? "";
  submit = work;
  sayWrong("");
  $("outcome").hidden = true;
  form.hidden = false;
  fieldsShown()[0]?.focus();
}

function fieldsShown() {
  return [...form.querySelectorAll("label:not([hidden]) input:not([readonly]):not([type=checkbox])")];
}

// What is hidden is not asked for: a browser would refuse to send the form, and could not say why.
function showField(name, shown) {
  $(`${name}-field`).hidden = !shown;
  $(`${name}-field`).querySelector("input").disabled = !shown;
}

function end(title, text, { again = false, onward = "Open the dashboard" } = {}) {
  token = "";
  form.reset();
  form.hidden = true;
  $("outcome-title").textContent = title;
  $("outcome-text").textContent = text;
  $("again").hidden = !again;
  $("onward").textContent = onward;
  $("outcome").hidden = false;
  $("outcome-title").focus?.();
}

function sayWrong(text) {
  $("error").textContent = text;
  $("error").hidden = !text;
}

// ---- asking the API ----

async function post(path, body, options = {}) {
  const answer = await fetch(`/v1/auth/${path}`, {
    method: "POST",
    cache: "no-store",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    ...options,
  });
  const said = answer.status === 204 ? {} : await answer.json();
  return { ok: answer.ok, status: answer.status, said: said ?? {} };
}

// A link that is of no use any more ends the page; what can be mended stands in the form.
function refused({ status, said }) {
  if (status === 404 || status === 410) return end("This link does not work", said.detail, { again: resets() });
  sayWrong(said.detail ?? AWAY);
}

let purpose = "";
const resets = () => purpose === "reset";

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  $("submit").disabled = true;
  sayWrong("");
  try {
    await submit();
  } catch {
    sayWrong(AWAY);
  } finally {
    $("submit").disabled = false;
  }
});

// ---- an invitation ----

async function showInvitation() {
  const answer = await post("invitations/look", { token });
  if (!answer.ok) return end("This invitation does not work", answer.said.detail ?? AWAY);
  const { organization, email, name, role, invited_by: by, needs } = answer.said;
  const invitation = {
    title: `Join ${organization}`,
    about: `${by === "command line" ? "The operator" : by} invites you as ${role}. ${MAY[role]}`,
    email,
    name,
    button: "Join",
    work: () => join(organization),
  };
  if (needs === "password") show({ ...invitation, fields: ["email", "name", "new"] });
  else if (needs === "nothing") show({ ...invitation, fields: ["email"], hint: "You are signed in with this account." });
  else {
    const hint = "You have an account already: sign in with its password.";
    show({ ...invitation, fields: ["email", "present"], button: "Sign in and join", hint, work: () => signInAndJoin(organization) });
  }
}

async function join(organization) {
  const body = { token };
  if (!form.chosen.disabled) Object.assign(body, { password: form.chosen.value, name: form.name.value.trim() });
  const answer = await post("invitations/accept", body);
  if (!answer.ok) return refused(answer);
  end(`You have joined ${organization}`, `You sign in as ${answer.said.email}.`);
}

async function signInAndJoin(organization) {
  const body = { email: form.email.value, password: form.present.value };
  if (!form.code.disabled) body.code = form.code.value.trim();
  const answer = await post("sign-in", body);
  if (!answer.ok) {
    const first = answer.said.code === "second_factor_needed" && form.code.disabled;
    if (answer.said.code?.startsWith("second_factor_")) showField("code", true);
    if (!first) sayWrong(answer.said.detail ?? AWAY);
    return (answer.said.code?.startsWith("second_factor_") ? form.code : form.present).select();
  }
  return join(organization);
}

// ---- a new password ----

async function showReset() {
  const answer = await post("password-resets/look", { token });
  if (!answer.ok) return end("This link does not work", answer.said.detail ?? AWAY, { again: true });
  const { email } = answer.said;
  show({ title: "Choose a new password", fields: ["email", "new"], email, button: "Set the password", work: useReset, hint: "All your sign-ins end, on every machine." });
}

async function useReset() {
  const answer = await post("password-resets/use", { token, password: form.chosen.value });
  if (!answer.ok) return refused(answer);
  end("Your password is set", "Sign in with it now.", { onward: "Sign in" });
}

function showForgotten() {
  show({
    title: "Forgotten your password?",
    about: "A mail with a link goes to your address. By that link you choose another password.",
    fields: ["email"],
    button: "Send the link",
    hint: "If this Metrica sends no mail, ask its operator for a link. If you have a link already, open it once more from the mail.",
    work: async () => {
      const answer = await post("password-resets", { email: form.email.value.trim() });
      if (!answer.ok) return refused(answer);
      end("Look into your mail", `${answer.said.detail} It is good for an hour.`, { onward: "Back to the dashboard" });
    },
  });
}

// ---- how good a password is ----

form.chosen.addEventListener("input", () => {
  clearTimeout(estimating?.timer);
  estimating?.stop.abort();
  const stop = new AbortController();
  estimating = { stop, timer: setTimeout(() => estimate(stop.signal), ESTIMATE_AFTER) };
});

async function estimate(signal) {
  const password = form.chosen.value;
  const bar = $("strength");
  const short = password.length < form.chosen.minLength;
  if (!password || !token) return;
  if (short) {
    bar.dataset.score = "0";
    $("strength-says").textContent = `${form.chosen.minLength - password.length} more characters at least.`;
    return;
  }
  const answer = await post("password-strength", { token, password }, { signal }).catch(() => null);
  if (!answer?.ok) return;
  bar.dataset.score = answer.said.score;
  $("strength-says").textContent = answer.said.says || "This is a good password.";
}

$("show").addEventListener("change", ({ target }) => {
  for (const field of [form.chosen, form.present]) field.type = target.checked ? "text" : "password";
});

// ---- the link ----

async function begin() {
  const [said, secret] = location.hash.slice(1).split("=");
  if (location.hash) history.replaceState(null, "", location.pathname); // nobody reads it over a shoulder, or in the history
  token = secret ?? "";
  purpose = said;
  try {
    if (token && said === "invitation") await showInvitation();
    else if (token && said === "reset") await showReset();
    else showForgotten();
  } catch {
    end("Metrica does not answer", "Open the link once more in a moment.");
  }
}

addEventListener("hashchange", () => location.hash && begin()); // a second link, pasted into the same tab
begin();
