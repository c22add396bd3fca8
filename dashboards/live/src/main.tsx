import "@metrica/shared/ui/tokens.css";
import "@metrica/shared/ui/base.css";
import { render } from "preact";
import { App } from "./app.tsx";
import { startRouter } from "./router.ts";

startRouter();
const app = document.getElementById("app");
if (app) render(<App />, app);
