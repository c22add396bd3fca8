// Shows /openapi.json readably: no request leaves this machine.

const routes = document.getElementById("routes");

function make(tag, { text, className, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// A schema in a few words: `StoreOut[]`, `string (date)`, `"in" | "out"`; names lead to their tables.
function inWords(schema) {
  if (!schema) return "";
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return make("a", { text: name, href: `#schema-${name}` });
  }
  if (schema.anyOf || schema.oneOf) return joined((schema.anyOf ?? schema.oneOf).map(inWords), " | ");
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type === "array") return joined([inWords(schema.items ?? {}), "[]"], "");
  if (schema.type === "object" && schema.additionalProperties) return joined(["map of ", inWords(schema.additionalProperties)], "");
  return (schema.type ?? "any") + (schema.format ? ` (${schema.format})` : "");
}

function joined(parts, between) {
  const all = document.createElement("span");
  parts.forEach((part, n) => all.append(...(n ? [between, part] : [part])));
  return all;
}

function table(heads, rows) {
  const head = make("tr", {}, ...heads.map((text) => make("th", { text, scope: "col" })));
  return make("table", {}, head, ...rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell)))));
}

const code = (text) => make("code", { text });
const limits = ({ default: by, pattern, minimum, maximum }) =>
  [by !== undefined && `default ${JSON.stringify(by)}`, pattern && `matches ${pattern}`, minimum !== undefined && `from ${minimum}`, maximum !== undefined && `to ${maximum}`]
    .filter(Boolean)
    .join(", ");

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
  if (method === "get" && !path.includes("{")) body.append(make("p", {}, make("a", { text: `Open ${path}`, href: path })));
  const head = make("summary", {}, make("span", { className: "method", text: method.toUpperCase() }), code(path), make("span", { className: "said", text: operation.summary }));
  return make("details", { id: operation.operationId, "data-testid": "route" }, head, body);
}

function schema(name, { description, properties = {}, required = [], ...rest }) {
  const rows = Object.entries(properties).map(([field, one]) => [
    code(field),
    required.includes(field) ? "required" : "",
    inWords(one),
    [one.description, limits(one)].filter(Boolean).join(" · "),
  ]);
  const body = make("div", { className: "body" }, make("p", { className: "description", text: description ?? "" }));
  body.append(rows.length ? table(["Field", "", "Type", "What"], rows) : make("p", {}, inWords(rest)));
  return make("details", { id: `schema-${name}` }, make("summary", {}, code(name)), body);
}

function open() {
  const asked = document.getElementById(location.hash.slice(1));
  if (asked instanceof HTMLDetailsElement) asked.open = true;
}

async function show() {
  const api = await (await fetch("/openapi.json")).json();
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
  addEventListener("hashchange", open);
  open();
}

show().catch((error) => routes.replaceChildren(make("p", { text: `/openapi.json cannot be read: ${error.message}` })));
