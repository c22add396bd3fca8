// The API, by the types of its OpenAPI document: `shared/generated/schema.d.ts` is written from it by `npm run types`.

import createClient from "openapi-fetch";
import type { components, paths } from "../../generated/schema.d.ts";
import { root } from "../root.ts";
import { ask } from "../session.ts";

type Schemas = components["schemas"];
export type Store = Schemas["StoreOut"];
export type Camera = Schemas["CameraOut"];
export type Line = Schemas["LineOut"];
export type Zone = Schemas["ZoneOut"];
export type Area = Schemas["AreaOut"];
export type Counts = Schemas["Counts"];
export type LineCount = Schemas["LineCount"];
export type Status = Schemas["Status"];
export type State = Status["state"];
export type Me = Schemas["MeOut"];
export type Footfall = Schemas["FootfallOut"];
export type Compared = Schemas["ComparedOut"];
export type Occupancy = Schemas["OccupancyOut"];
export type SignIn = Schemas["SignInOut"];

export const api = createClient<paths>({ baseUrl: root.href.replace(/\/$/, ""), fetch: ask, cache: "no-store" });
