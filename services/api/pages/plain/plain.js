// The numbers of all stores, asked for again and again: in place of a dashboard that is not built.

const EVERY = 2_000;
const root = new URL("./", import.meta.url); // wherever this lies: also below a path prefix
const rows = document.getElementById("stores");
const trouble = document.getElementById("trouble");

function row(store) {
  const cells = [store.name, store.counts.in, store.counts.out, store.counts.inside];
  const made = document.createElement("tr");
  const counted = store.cameras.length > 0; // what nobody counts is no zero
  made.append(...cells.map((text, n) => Object.assign(document.createElement("td"), { textContent: n && !counted ? "–" : text })));
  return made;
}

async function show() {
  try {
    const answer = await fetch(new URL("v1/stores", root), { cache: "no-store" });
    if (answer.status === 401) {
      trouble.textContent = "The numbers are for who has signed in, and only the dashboard signs in.";
      return;
    }
    if (!answer.ok) throw new Error(answer.statusText);
    const stores = await answer.json();
    rows.replaceChildren(...stores.map(row));
    trouble.textContent = stores.length ? "" : "There is no store yet.";
  } catch {
    trouble.textContent = "Metrica does not answer. These are the last numbers known.";
  }
  setTimeout(show, EVERY);
}

show();
