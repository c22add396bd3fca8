// Parts of the documentation pages: elements, tables and schemas. No request leaves this machine.

export function make(tag, { text, className, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// A schema in a few words: `StoreOut[]`, `string (date)`, `"in" | "out"`; names lead to their tables.
export function inWords(schema) {
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

export function joined(parts, between) {
  const all = document.createElement("span");
  parts.forEach((part, n) => all.append(...(n ? [between, part] : [part])));
  return all;
}

export function table(heads, rows) {
  const head = make("tr", {}, ...heads.map((text) => make("th", { text, scope: "col" })));
  return make("table", {}, head, ...rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell)))));
}

export const code = (text) => make("code", { text });
export const limits = ({ default: by, pattern, minimum, maximum }) =>
  [by !== undefined && `default ${JSON.stringify(by)}`, pattern && `matches ${pattern}`, minimum !== undefined && `from ${minimum}`, maximum !== undefined && `to ${maximum}`]
    .filter(Boolean)
    .join(", ");

export function schema(name, { description, properties = {}, required = [], ...rest }) {
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

// The entry that the address names, opened.
export function openNamed() {
  const asked = document.getElementById(location.hash.slice(1));
  if (asked instanceof HTMLDetailsElement) asked.open = true;
}
