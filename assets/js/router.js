// Addresses to views. A view is `async (context) => void`: it draws into context.main and stops at context.signal.

const routes = [];
let current = new AbortController();
let render = null;
/** The address of the view that is shown, without its fragment. */
let shown = null;

/** `pattern` is a path whose `:name` parts become context.parameters. */
export function route(pattern, load) {
  const names = [...pattern.matchAll(/:(\w+)/g)].map((match) => match[1]);
  routes.push({ names, expression: new RegExp(`^${pattern.replace(/:\w+/g, "([^/]+)")}$`), load });
}

/** Begins: `draw(context, load)` draws the view of an address. */
export function start(draw) {
  render = draw;
  history.scrollRestoration = "manual";
  document.addEventListener("click", follow);
  // Where only the fragment is another, the view shows it itself.
  window.addEventListener("popstate", () => location.pathname + location.search !== shown && show());
  return show();
}

/** Goes to `address`. */
export function go(address, { replace = false } = {}) {
  remember({ y: window.scrollY });
  history[replace ? "replaceState" : "pushState"]({}, "", address);
  return show();
}

/** Changes the address of the view that is shown, which draws the change itself. */
export function rewrite(address, { push = false } = {}) {
  history[push ? "pushState" : "replaceState"](push ? {} : history.state, "", address);
  shown = location.pathname + location.search;
}

/** Keeps `values` with this entry of the history, for the way back. */
export function remember(values) {
  history.replaceState({ ...history.state, ...values }, "");
}

/** A part of an address as text; `null` where it is none. */
export function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}

async function show() {
  current.abort();
  current = new AbortController();
  const { signal } = current;
  shown = location.pathname + location.search;
  const path = location.pathname.replace(/(.)\/$/, "$1");
  const fits = ({ expression }) => expression.exec(path)?.slice(1).every((part) => decoded(part) !== null);
  const found = routes.find(fits) ?? routes.find(({ expression }) => expression.test("/404"));
  const values = (found.expression.exec(path) ?? []).slice(1).map(decoded);
  const parameters = Object.fromEntries(found.names.map((name, n) => [name, values[n]]));
  const y = history.state?.y ?? 0;
  // Whoever goes somewhere while the rest is still being drawn is not called back.
  let isUntouched = true;
  for (const kind of ["keydown", "wheel", "touchmove", "pointerdown"])
    window.addEventListener(kind, () => (isUntouched = false), { signal, once: true, passive: true });
  await render({ path, parameters, query: new URLSearchParams(location.search), signal, state: history.state ?? {} }, found.load);
  if (!signal.aborted && !location.hash && isUntouched) window.scrollTo(0, y);
}

function follow(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const url = new URL(link.href);
  const isOurs = url.origin === location.origin && !link.hasAttribute("download") && !link.target;
  const isElsewhere = ["/api/", "/s/", "/assets/"].some((prefix) => url.pathname.startsWith(prefix));
  if (!isOurs || isElsewhere || (url.pathname === location.pathname && url.search === location.search && url.hash)) return;
  event.preventDefault();
  go(url.pathname + url.search + url.hash);
}
