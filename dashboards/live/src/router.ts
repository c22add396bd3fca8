// Which page an address names. Links are plain ones: a click on one of ours changes the page without loading it anew.

import { root } from "@metrica/shared/root.ts";
import { signal } from "@preact/signals";

export type Route = { page: "stores" } | { page: "store"; store: string } | { page: "unknown" };

/** The route of an address below the app's root. Old addresses (`/?store=shop`) are understood. */
export function routeOf(url: URL, below: URL = root): Route {
  const path = url.pathname.slice(below.pathname.length).replace(/\/$/, "");
  const old = url.searchParams.get("store");
  if (!path) return old ? { page: "store", store: old } : { page: "stores" };
  const [first, store, ...more] = path.split("/").map(decode);
  if (first === "stores" && store && !more.length) return { page: "store", store };
  return first === "stores" && store === undefined ? { page: "stores" } : { page: "unknown" };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a route, below the app's root. */
export function addressOf(route: Route): string {
  return new URL(route.page === "store" ? `stores/${encodeURIComponent(route.store)}` : "./", root).href;
}

export const route = signal<Route>(routeOf(new URL(location.href)));

/** Go to an address; `replace`: the back button does not lead to the present one. */
export function go(address: string, replace = false): void {
  if (replace) history.replaceState(null, "", address);
  else if (address !== location.href) history.pushState(null, "", address);
  route.value = routeOf(new URL(location.href));
  scrollTo(0, 0);
}

function clicked(event: MouseEvent): void {
  const link = (event.target as Element).closest?.("a");
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || event.defaultPrevented || link.target || link.hash) return;
  const to = new URL(link.href);
  if (to.origin !== root.origin || !to.pathname.startsWith(root.pathname) || link.dataset.other !== undefined) return;
  event.preventDefault();
  go(to.href);
}

/** Follow links and the back button, and put today's address in place of an old one. */
export function startRouter(): void {
  document.addEventListener("click", clicked);
  addEventListener("popstate", () => {
    route.value = routeOf(new URL(location.href));
  });
  if (new URLSearchParams(location.search).has("store")) go(addressOf(route.value), true);
}
