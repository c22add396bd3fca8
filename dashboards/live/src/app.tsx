// The page as a whole: the frame, and in it the page that the address names.

import { below } from "@metrica/shared/root.ts";
import { say } from "@metrica/shared/say/index.ts";
import { asking, loadMe, me, needsFactorFirst } from "@metrica/shared/session.ts";
import { useEffect } from "preact/hooks";
import { connection, forgetConnection } from "./frame/connection.ts";
import { Frame } from "./frame/frame.tsx";
import { Message } from "./frame/message.tsx";
import { refreshStores } from "./frame/switcher.tsx";
import { route } from "./router.ts";
import { SignInDialog, SignInPage } from "./signing/sign-in.tsx";
import { StorePage } from "./store/store-page.tsx";
import { StoresPage } from "./stores/stores-page.tsx";

const AGAIN_AFTER = 2_000;

async function findOut(): Promise<void> {
  for (;;) {
    try {
      const who = await loadMe();
      if (needsFactorFirst(who)) location.replace(below("security.html"));
      void refreshStores();
      return;
    } catch {
      connection.value = { state: "away", lostAt: null };
      await new Promise((resolve) => setTimeout(resolve, AGAIN_AFTER));
    }
  }
}

export function App() {
  useEffect(() => {
    void findOut().then(forgetConnection);
  }, []);
  if (asking.value === "first") return <SignInPage />;
  return (
    <>
      <Frame>{me.value && <Page />}</Frame>
      {asking.value && <SignInDialog />}
    </>
  );
}

function Page() {
  const at = route.value;
  if (at.page === "stores") return <StoresPage />;
  if (at.page === "store") return <StorePage key={at.store} id={at.store} />;
  return <Message title={say.unknownPage} />;
}
