// Shows /openapi.json readably: no request leaves this machine.

import { code, inWords, limits, make, openNamed, schema, table } from "./page.js";

const routes = document.getElementById("routes");

function route(path, method, operation) {
  const body = make("div", { className: "body" }, make("p", { className: "description", text: operation.description ?? "" }));
  if (operation.parameters?.length) {
    const rows = operation.parameters.map((one) => [
      code(one.name),
      one.in + (one.required ? ", required" : ""),
      inWords(one.schema),
      [one.description, limits(one.schema)].filter(Boolean).join(" · "),
    ]);
    body.append(make("h4", { text: "Parameters" }), table(["Name", "Where", "Type", "What"], rows));
  }
  const answers = Object.entries(operation.responses).map(([status, { description, content = {} }]) => {
    const [kind, media] = Object.entries(content)[0] ?? [];
    return [code(status), description, kind ? code(kind) : "", media ? inWords(media.schema) : ""];
  });
  body.append(make("h4", { text: "Answers" }), table(["Status", "What", "Media type", "Schema"], answers));
  if (method === "get" && !path.includes("{")) body.append(make("p", {}, make("a", { text: `Open ${path}`, href: `..${path}` })));
  const head = make("summary", {}, make("span", { className: "method", text: method.toUpperCase() }), code(path), make("span", { className: "said", text: operation.summary }));
  return make("details", { id: operation.operationId, "data-testid": "route" }, head, body);
}

async function show() {
  const api = await (await fetch("../openapi.json")).json();
  document.getElementById("title").textContent = `${api.info.title} API, version ${api.info.version}`;
  document.getElementById("summary").textContent = api.info.summary;
  const groups = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const group = operation.tags?.[0] ?? "other";
      groups.set(group, [...(groups.get(group) ?? []), route(path, method, operation)]);
    }
  }
  routes.replaceChildren(...[...groups].flatMap(([group, made]) => [make("h2", { text: group }), ...made]));
  routes.append(make("h2", { text: "schemas" }), ...Object.entries(api.components.schemas).map(([name, one]) => schema(name, one)));
  routes.setAttribute("aria-busy", "false");
  addEventListener("hashchange", openNamed);
  openNamed();
}

show().catch((error) => routes.replaceChildren(make("p", { text: `/openapi.json cannot be read: ${error.message}` })));
