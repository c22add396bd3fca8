import "./switcher.css";
import { api, type Store } from "@metrica/shared/api/client.ts";
import { say, sayNumber } from "@metrica/shared/say/index.ts";
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { addressOf, go, route } from "../router.ts";
import { Dot, health } from "../stores/health.tsx";

/** The stores, as they were when last asked for. */
export const stores = signal<Store[]>([]);

export async function refreshStores(): Promise<void> {
  const { data } = await api.GET("/v1/stores").catch(() => ({ data: undefined }));
  if (data) stores.value = data as Store[];
}

/** Chooses one of several stores: a list that is searched by typing and walked through by arrow keys. */
export function Switcher() {
  const list = useRef<HTMLDivElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const [sought, setSought] = useState("");
  const [chosen, setChosen] = useState(0);
  const at = route.value;
  const shown = stores.value.filter(({ name }) => name.toLowerCase().includes(sought.toLowerCase()));
  const present = at.page === "store" ? stores.value.find(({ id }) => id === at.store) : undefined;

  useEffect(() => {
    const opens = (event: KeyboardEvent) => {
      if (event.key !== "/" || (event.target as Element).matches?.("input, textarea, select")) return;
      event.preventDefault();
      list.current?.showPopover();
    };
    addEventListener("keydown", opens);
    return () => removeEventListener("keydown", opens);
  }, []);

  if (stores.value.length < 2) return null;
  const walk = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const store = shown[chosen];
    if (step) setChosen((chosen + step + shown.length) % Math.max(shown.length, 1));
    else if (event.key === "Enter" && store) {
      list.current?.hidePopover();
      go(addressOf({ page: "store", store: store.id }));
    } else return;
    event.preventDefault();
  };
  return (
    <>
      <button type="button" class="switcher" popovertarget="switcher" data-testid="store-picker">
        {present?.name ?? say.chooseStore}
      </button>
      <div
        class="switcher-list"
        id="switcher"
        popover="auto"
        ref={list}
        onToggle={(event) => {
          if (event.newState !== "open") return;
          setSought("");
          setChosen(0);
          field.current?.focus();
          void refreshStores();
        }}
      >
        <label>
          {say.search}
          <input
            ref={field}
            type="search"
            autocomplete="off"
            value={sought}
            aria-controls="switcher-stores"
            onInput={(event) => {
              setSought(event.currentTarget.value);
              setChosen(0);
            }}
            onKeyDown={walk}
          />
        </label>
        <ul id="switcher-stores">
          {shown.map((store, n) => (
            <li key={store.id}>
              <a
                href={addressOf({ page: "store", store: store.id })}
                data-chosen={n === chosen || undefined}
                aria-current={store.id === present?.id ? "page" : undefined}
                onClick={() => list.current?.hidePopover()}
              >
                <Dot health={health(store)} />
                <span class="name">{store.name}</span>
                {store.cameras.length > 0 && (
                  <span class="quiet">{`${sayNumber(store.counts.in)} ${say.in.toLowerCase()}`}</span>
                )}
              </a>
            </li>
          ))}
        </ul>
        {!shown.length && <p class="quiet">{say.nothingMatches}</p>}
      </div>
    </>
  );
}
