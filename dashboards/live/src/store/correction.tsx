import { say, sayNumber, sayTime } from "@metrica/shared/say/index.ts";
import { useRef, useState } from "preact/hooks";
import type { StoreModel } from "./model.ts";

/** Sets how many people are inside, for who stands there and sees it. */
export function Correction({ model }: { model: StoreModel }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const zone = model.store.value?.time_zone ?? "UTC";
  const inside = model.counts.value?.inside ?? 0;
  const last = model.occupancy.value?.corrections.at(-1);

  const save = async (form: HTMLFormElement) => {
    setBusy(true);
    const problem = await model.correct(Number(new FormData(form).get("inside")));
    setBusy(false);
    setWrong(problem === "" ? say.noAnswer : problem);
    if (problem === null) dialog.current?.close();
  };
  return (
    <>
      <button
        type="button"
        class="link correct"
        data-testid="correct"
        onClick={() => {
          setWrong(null);
          dialog.current?.showModal();
        }}
      >
        {say.correct}
      </button>
      <dialog ref={dialog} aria-labelledby="correct-title">
        <form
          class="correction"
          onSubmit={(event) => {
            event.preventDefault();
            void save(event.currentTarget);
          }}
        >
          <h2 id="correct-title">{say.correctTitle}</h2>
          <p class="quiet">{say.correctAbout(sayNumber(inside))}</p>
          {last && (
            <p class="quiet">{say.correctLast(last.who, sayNumber(last.inside), sayTime(Date.parse(last.at), zone))}</p>
          )}
          <label>
            {say.correctField}
            <input name="inside" type="number" inputMode="numeric" min={0} max={1_000_000} step={1} required />
          </label>
          <p class="wrong" role="alert" hidden={!wrong}>
            {wrong}
          </p>
          <div class="buttons">
            <button type="submit" class="main" disabled={busy}>
              {say.save}
            </button>
            <button type="button" onClick={() => dialog.current?.close()}>
              {say.cancel}
            </button>
          </div>
        </form>
      </dialog>
    </>
  );
}
