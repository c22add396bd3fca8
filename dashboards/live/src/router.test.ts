import { expect, test } from "vitest";
import { routeOf } from "./router.ts";

const root = new URL("http://host/metrica/");
const at = (path: string) => routeOf(new URL(path, root), root);

test.each([
  ["./", { page: "stores" }],
  ["stores", { page: "stores" }],
  ["stores/shop", { page: "store", store: "shop" }],
  ["stores/shop/", { page: "store", store: "shop" }],
  ["stores/caf%C3%A9", { page: "store", store: "café" }],
  ["stores/%E0", { page: "store", store: "%E0" }],
  ["?store=mall", { page: "store", store: "mall" }],
  ["stores/shop/nowhere", { page: "unknown" }],
  ["nowhere", { page: "unknown" }],
])("%s below a path prefix", (path, route) => {
  expect(at(path)).toEqual(route);
});
