import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const css = readFileSync(`${import.meta.dirname}/tokens.css`, "utf-8");
const [light = "", dark = ""] = css.split("@media (prefers-color-scheme: dark)");

function colours(block: string): Map<string, string> {
  return new Map([...block.matchAll(/--([a-z-]+): (#[0-9a-f]{6});/g)].map(([, name, value]) => [name!, value!]));
}

// WCAG 2.2: relative luminance and contrast ratio.
function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(one: string, other: string): number {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (high! + 0.05) / (low! + 0.05);
}

describe.each([
  ["light", colours(light)],
  ["dark", colours(dark)],
])("%s", (_, named) => {
  const of = (one: string, other: string): number => contrast(named.get(one)!, named.get(other)!);

  test.each([
    ["ink", 12],
    ["quiet", 4.5],
    ["in", 4.5],
    ["then", 4.5],
    ["good", 4.5],
    ["warn", 4.5],
    ["bad", 4.5],
  ])("%s is readable on cards", (name, least) => {
    expect(of(name, "card")).toBeGreaterThanOrEqual(least);
  });

  test.each(["ink", "quiet"])("%s is readable on the page and on what is sunken", (name) => {
    expect(of(name, "page")).toBeGreaterThanOrEqual(4.5);
    expect(of(name, "sunken")).toBeGreaterThanOrEqual(4.5);
  });

  test.each(["good", "warn", "bad"])("%s and ink are readable on its ground", (name) => {
    expect(of(name, `${name}-ground`)).toBeGreaterThanOrEqual(4.5);
    expect(of("ink", `${name}-ground`)).toBeGreaterThanOrEqual(4.5);
  });

  test("text stands on the accent", () => {
    expect(of("on-in", "in")).toBeGreaterThanOrEqual(4.5);
  });

  test("bars and borders of fields are seen", () => {
    expect(of("out", "card")).toBeGreaterThanOrEqual(3);
    expect(of("control", "card")).toBeGreaterThanOrEqual(3);
    expect(of("control", "page")).toBeGreaterThanOrEqual(3);
  });

  test("in and out differ by lightness alone", () => {
    expect(of("in", "out")).toBeGreaterThanOrEqual(2.2);
  });
});
