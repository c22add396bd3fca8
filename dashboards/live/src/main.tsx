import "@metrica/shared/ui/tokens.css";
import "@metrica/shared/ui/base.css";
import { below } from "@metrica/shared/root.ts";
import { render } from "preact";
import { App } from "./app.tsx";
import { startRouter } from "./router.ts";

// A relative address would be another one once the router has changed the page's.
document.querySelector('link[rel="icon"]')?.setAttribute("href", below("icon.svg"));

startRouter();
const app = document.getElementById("app");
if (app) render(<App />, app);
