import "./frame.css";
import { below } from "@metrica/shared/root.ts";
import { say, sayAge, saySeconds } from "@metrica/shared/say/index.ts";
import { asking, me, needsFactor, signOut } from "@metrica/shared/session.ts";
import type { ComponentChildren } from "preact";
import { addressOf } from "../router.ts";
import { connection, quietFor } from "./connection.ts";
import { Switcher } from "./switcher.tsx";

const GLYPHS = { connecting: "○", live: "●", delayed: "◐", checking: "◌", reconnecting: "◌", away: "✕", ended: "✕" };
const SAID_AFTER = 10; // seconds without news

/** What is around every page. */
export function Frame({ children }: { children: ComponentChildren }) {
  return (
    <>
      <a class="skip" href="#content">
        {say.skip}
      </a>
      <header class="bar">
        <a class="brand" href={addressOf({ page: "stores" })} aria-label={say.brand}>
          <svg viewBox="0 0 24 24" aria-hidden="true">
            <path d="M12 2v20" class="mark-line" />
            <path d="M3 12h12m-4-4 4 4-4 4" class="mark-arrow" />
          </svg>
          <span>Metrica</span>
        </a>
        <Switcher />
        <span class="space" />
        <Who />
        <Connection />
      </header>
      <main id="content" inert={asking.value === "ended"}>
        <Banner />
        {children}
      </main>
    </>
  );
}

function Connection() {
  const state = asking.value === "ended" ? "ended" : connection.value.state;
  if (state === "none") return null;
  const { lostAt } = connection.value;
  const age = lostAt !== null && quietFor(lostAt) >= SAID_AFTER ? say.lastEvent(sayAge(quietFor(lostAt))) : "";
  return (
    <p class="connection" role="status" title={age}>
      <span class="dot" aria-hidden="true">
        {GLYPHS[state]}
      </span>
      <span data-testid="connection">{say.connection[state]}</span>
    </p>
  );
}

/** What is wrong with the connection, and what it means for the numbers. */
function Banner() {
  const { state, lostAt } = connection.value;
  const text =
    state === "delayed"
      ? say.busAway
      : state !== "away"
        ? ""
        : lostAt === null
          ? say.neverThere
          : say.away(saySeconds(lostAt));
  return (
    <p class="banner" role="alert" data-testid="banner" data-tone={state === "delayed" ? "warn" : "bad"} hidden={!text}>
      {text}
    </p>
  );
}

function Who() {
  const who = me.value;
  if (!who) return null;
  if (!who.user) {
    return (
      <p class="who">
        <button
          type="button"
          class="link"
          data-testid="wants-to-sign-in"
          onClick={() => {
            asking.value = "wish";
          }}
        >
          {say.signIn}
        </button>
      </p>
    );
  }
  return (
    <p class="who long">
      <span data-testid="who">{who.name}</span>
      <a href={below("security.html")} data-other data-testid="account">
        {needsFactor(who) ? say.factorNeeded : say.signInSettings}
      </a>
      <button type="button" class="link" data-testid="sign-out" onClick={signOut}>
        {say.signOut}
      </button>
    </p>
  );
}
