// One's own sign-in settings: the second factor, where one is signed in, the password.

import { ask, showWho } from "./session.js";

const FACTOR = "/v1/auth/second-factor";
const SIGN_INS = "/v1/auth/sign-ins";
const PARTS = ["factor-off", "factor-new", "factor-codes", "factor-on"];
const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

const $ = (id) => document.getElementById(id);

// ---- asking ----

// A change. A wrong password is answered with 401 as an ended sign-in is: so that one is renewed before.
async function send(path, body, method = "POST") {
  await ask("/v1/auth/me");
  const options = { method, cache: "no-store", headers: { "Content-Type": "application/json" } };
  if (body) options.body = JSON.stringify(body);
  const answer = await fetch(path, options);
  const said = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw new Error(said.detail);
  return said;
}

// What a form does; what goes wrong is said in it.
function onSubmit(form, work) {
  const wrong = form.querySelector(".wrong");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const buttons = [...form.querySelectorAll("button")].filter((button) => !button.disabled);
    for (const button of buttons) button.disabled = true;
    wrong.hidden = true;
    try {
      await work(event.submitter);
    } catch (error) {
      wrong.textContent = error instanceof TypeError ? "Metrica does not answer. Try again in a moment." : error.message;
      wrong.hidden = false;
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  });
}

// ---- the second factor ----

let present = { on: false };

async function showFactor() {
  const answer = await ask(FACTOR);
  if (!answer.ok) return;
  present = await answer.json();
  const asked = present.asked_for_as_superadmin || present.asked_for_in.length > 0;
  showState();
  if (present.on) {
    const left = present.recovery_codes_left;
    $("factor-about").textContent = `In force since ${moment.format(new Date(present.since))}. ${left} recovery code${left === 1 ? " is" : "s are"} left.`;
    $("factor-remove").hidden = asked;
  }
  $("needed").hidden = present.on || !asked;
  $("needed").textContent = present.asked_for_in.length
    ? `${present.asked_for_in.join(", ")} asks its members for a second factor: until you have set one up, you see nothing of it.`
    : "Superadmins need a second factor here: until you have set one up, you have no superadmin rights.";
  showPart(present.on ? "factor-on" : "factor-off");
}

function showState() {
  $("factor-state").textContent = present.on ? "on" : "off";
  $("factor-state").toggleAttribute("data-on", present.on);
}

function showPart(shown) {
  for (const part of PARTS) {
    $(part).hidden = part !== shown;
    if (part !== shown && $(part).reset) $(part).reset();
  }
}

function showNew({ secret, qr }) {
  $("qr").src = qr;
  $("secret").textContent = secret.match(/.{1,4}/g).join(" ");
  showPart("factor-new");
  $("factor-new").code.focus();
}

function showCodes({ recovery_codes: codes }) {
  $("codes").replaceChildren(...codes.map((code) => {
    const item = document.createElement("li");
    item.append(Object.assign(document.createElement("code"), { textContent: code }));
    return item;
  }));
  present.on = true;
  showState();
  $("needed").hidden = true;
  showPart("factor-codes");
  $("factor-title").focus();
  $("spoken").textContent = "Your recovery codes are shown. Keep them.";
}

onSubmit($("factor-off"), async () => showNew(await send(FACTOR, { password: $("factor-off").password.value })));

onSubmit($("factor-new"), async () => {
  showCodes(await send(`${FACTOR}/confirm`, { code: $("factor-new").code.value }));
  $("qr").removeAttribute("src");
  $("secret").textContent = "";
  showSignIns();
});

onSubmit($("factor-on"), async (submitter) => {
  const form = $("factor-on");
  const proof = { password: form.password.value, code: form.code.value };
  if (submitter?.value === "another") return showNew(await send(FACTOR, proof));
  if (submitter?.value === "recovery-codes") return showCodes(await send(`${FACTOR}/recovery-codes`, proof));
  await send(`${FACTOR}/remove`, proof);
  $("spoken").textContent = "Your second factor is turned off.";
  await showFactor();
  showSignIns();
});

$("factor-cancel").addEventListener("click", showFactor);

$("codes-kept").addEventListener("click", async () => {
  $("codes").replaceChildren();
  await showFactor();
  $("factor-title").focus();
});

$("codes-copy").addEventListener("click", async () => {
  const codes = [...$("codes").querySelectorAll("code")].map((code) => code.textContent);
  try {
    await navigator.clipboard.writeText(codes.join("\n"));
    $("codes-copy").textContent = "Copied";
  } catch { // without TLS browsers have no clipboard: they are selected, to be copied by hand
    getSelection().selectAllChildren($("codes"));
  }
});

$("codes-print").addEventListener("click", () => print());

// ---- where one is signed in ----

async function showSignIns() {
  const answer = await ask(SIGN_INS);
  if (!answer.ok) return;
  $("sign-ins").replaceChildren(...(await answer.json()).map(row));
}

function row(signIn) {
  const item = $("sign-in-row").content.firstElementChild.cloneNode(true);
  const name = sayAgent(signIn.agent) || (signIn.browser ? "A browser" : "A program");
  item.querySelector(".agent").textContent = name;
  item.querySelector(".agent").title = signIn.agent;
  const used = `used ${moment.format(new Date(signIn.last_used_at))}`;
  const ends = `ends ${moment.format(new Date(signIn.ends_at))} at the latest`;
  item.querySelector(".about").textContent = [signIn.address && `from ${signIn.address}`, used, ends].filter(Boolean).join(" · ");
  const button = item.querySelector("button");
  if (signIn.current) {
    button.replaceWith(Object.assign(document.createElement("span"), { className: "mark", textContent: "this one" }));
    return item;
  }
  button.setAttribute("aria-label", `End the sign-in of ${name}, ${used}`);
  button.addEventListener("click", () => end(signIn, button));
  return item;
}

// A browser and its system, as people call them; else what it calls itself.
function sayAgent(agent) {
  const browser = [["Edg/", "Edge"], ["OPR/", "Opera"], ["Firefox/", "Firefox"], ["Chrome/", "Chrome"], ["Safari/", "Safari"]].find(([mark]) => agent.includes(mark));
  const system = [["Android", "Android"], ["iPhone", "iPhone"], ["iPad", "iPad"], ["Windows", "Windows"], ["Mac OS X", "Mac"], ["Linux", "Linux"]].find(([mark]) => agent.includes(mark));
  return browser ? [browser[1], system?.[1]].filter(Boolean).join(" on ") : agent.slice(0, 60);
}

async function end(signIn, button) {
  button.disabled = true;
  $("sign-ins-error").hidden = true;
  try {
    await send(`${SIGN_INS}/${signIn.id}`, null, "DELETE");
    $("spoken").textContent = "The sign-in has ended.";
  } catch (error) {
    $("sign-ins-error").textContent = error.message;
    $("sign-ins-error").hidden = false;
  }
  await showSignIns();
  $("sign-ins-title").focus();
}

$("everywhere").addEventListener("click", async () => {
  await send("/v1/auth/sign-out-everywhere");
  location.assign("/");
});

// ---- the password ----

onSubmit($("password"), async () => {
  const form = $("password");
  form.querySelector(".good").hidden = true;
  await send("/v1/auth/password", { present: form.present.value, new: form.new.value });
  form.reset();
  form.querySelector(".good").hidden = false;
  showSignIns();
});

// ---- the page itself ----

async function begin() {
  const me = await showWho();
  if (!me.user) return location.replace("/"); // this machine may look; it has no account
  for (const field of document.querySelectorAll('input[name="username"]')) field.defaultValue = me.name; // stays when its form is reset
  await Promise.all([showFactor(), showSignIns()]);
}

begin();
