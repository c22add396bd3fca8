import "./sign-in.css";
import { below } from "@metrica/shared/root.ts";
import { say, saySeconds } from "@metrica/shared/say/index.ts";
import { asking, signIn } from "@metrica/shared/session.ts";
import { useEffect, useId, useRef, useState } from "preact/hooks";

/** Where nobody may look without signing in. */
export function SignInPage() {
  useEffect(() => {
    document.title = `${say.signIn} · Metrica`;
  }, []);
  return (
    <main class="sign-in-page card">
      <SignInForm />
    </main>
  );
}

/** Over a page whose sign-in has ended, which stays as it is; or for somebody who wishes to do more than to look. */
export function SignInDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const ended = asking.value === "ended";
  const [since] = useState(() => saySeconds(Date.now()));
  const close = () => {
    asking.value = null;
  };
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-label={say.signIn} onCancel={(event) => (ended ? event.preventDefault() : close())}>
      {ended && <p class="ended">{say.signInEnded(since)}</p>}
      <SignInForm onCancel={ended ? undefined : close} />
    </dialog>
  );
}

function SignInForm({ onCancel }: { onCancel?: (() => void) | undefined }) {
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const [withCode, setWithCode] = useState(false);
  const first = useRef<HTMLInputElement>(null);
  const code = useRef<HTMLInputElement>(null);
  const hint = useId();
  useEffect(() => (withCode ? code : first).current?.focus(), [withCode]);

  const submit = async (form: HTMLFormElement) => {
    const said = new FormData(form);
    const text = (name: string) => String(said.get(name) ?? "");
    setBusy(true);
    const problem = await signIn(text("email").trim(), text("password"), text("code").trim());
    setBusy(false);
    if (!problem) return;
    const askedNow = problem.code === "second_factor_needed" && !withCode;
    const ofCode = problem.code?.startsWith("second_factor_");
    if (ofCode) setWithCode(true);
    setWrong(askedNow ? "" : (problem.detail ?? say.noAnswer));
    const again = ofCode ? code.current : form.querySelector<HTMLInputElement>("[name=password]");
    again?.select();
  };

  return (
    <form
      class="sign-in"
      data-testid="sign-in"
      onSubmit={(event) => {
        event.preventDefault();
        void submit(event.currentTarget);
      }}
    >
      <h1>{say.signIn}</h1>
      <label>
        {say.email}
        <input ref={first} name="email" type="email" autocomplete="username" required />
      </label>
      <label>
        {say.password}
        <input name="password" type="password" autocomplete="current-password" required />
      </label>
      <label hidden={!withCode}>
        {say.code}
        <input
          ref={code}
          name="code"
          autocomplete="one-time-code"
          autocapitalize="off"
          spellcheck={false}
          maxLength={64}
          required={withCode}
          disabled={!withCode}
          aria-describedby={hint}
        />
        <span id={hint}>{say.codeHint}</span>
      </label>
      <p class="wrong" role="alert" data-testid="sign-in-error" hidden={!wrong}>
        {wrong}
      </p>
      <button type="submit" class="main" disabled={busy}>
        {say.signIn}
      </button>
      {onCancel && (
        <button type="button" onClick={onCancel}>
          {say.cancel}
        </button>
      )}
      <a class="forgotten" href={below("account.html")} data-other data-testid="forgotten">
        {say.forgotten}
      </a>
    </form>
  );
}
