// Asking the API as who has signed in: an ended sign-in is renewed by its cookie, or the page asks who it is.

import { signal } from "@preact/signals";
import type { Me } from "./api/client.ts";
import { below } from "./root.ts";

/** Who has signed in; null until it is known. */
export const me = signal<Me | null>(null);

/** Why the page asks who looks at it; null while it does not. `wish`: who may look already wants to sign in. */
export const asking = signal<"first" | "ended" | "wish" | null>(null);

let renewing: Promise<void> | null = null;
let done: (() => void) | null = null;

/** `fetch`, and once more after signing in where the API answers 401. */
export async function ask(request: Request): Promise<Response> {
  const again = request.clone();
  const answer = await fetch(request);
  if (answer.status !== 401) return answer;
  await renew();
  return fetch(again);
}

/** Ends once this browser is signed in; all who wait for it wait for one. */
export function renew(): Promise<void> {
  renewing ??= renewOnce().finally(() => {
    renewing = null;
  });
  return renewing;
}

async function renewOnce(): Promise<void> {
  const answer = await fetch(below("v1/auth/refresh"), { method: "POST" });
  if (answer.ok) return;
  if (answer.status >= 500) throw new TypeError("the API is away");
  asking.value = me.value ? "ended" : "first";
  await new Promise<void>((resolve) => {
    done = resolve;
  });
}

/** Who this browser is to the API. Asks for it, and to sign in where nobody may look without. */
export async function loadMe(): Promise<Me> {
  const answer = await ask(new Request(below("v1/auth/me"), { cache: "no-store" }));
  if (!answer.ok) throw new TypeError("the API is away");
  const now: Me = await answer.json();
  me.value = now;
  return now;
}

export interface Problem {
  detail?: string;
  code?: string;
}

/** Sign in; what goes wrong is returned. Another account than before sees another page: it is loaded anew. */
export async function signIn(email: string, password: string, code: string): Promise<Problem | null> {
  const before = me.value;
  try {
    const answer = await fetch(below("v1/auth/sign-in"), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ email, password, code: code || undefined }),
    });
    if (!answer.ok) return await answer.json();
  } catch {
    return {};
  }
  if (before && (await loadMe()).user !== before.user) location.reload();
  asking.value = null;
  done?.();
  return null;
}

export async function signOut(): Promise<void> {
  await fetch(below("v1/auth/sign-out"), { method: "POST" });
  location.reload();
}

/** Whether somebody must set up a second factor before they may see anything. */
export function needsFactorFirst(who: Me): boolean {
  return needsFactor(who) && !who.superadmin && !Object.keys(who.roles).length;
}

export function needsFactor(who: Me): boolean {
  return who.second_factor_needed_in.length > 0 || who.second_factor_needed_as_superadmin;
}
