// Where the app lies: built modules are in `assets/`, one folder below. So it works below any path prefix.

const here = import.meta.url;

/** The app's own address, with a slash at its end. */
export const root: URL = import.meta.env.DEV ? new URL("/", location.href) : new URL("../", here);

/** The address of something below the app's own. */
export function below(path: string): string {
  return new URL(path.replace(/^\//, ""), root).href;
}
