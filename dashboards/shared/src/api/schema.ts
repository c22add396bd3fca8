export type { components } from "../../generated/schema.d.ts";
