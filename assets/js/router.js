// Addresses to views. A view is `async (context) => void`: it draws into context.main and stops at context.signal.

const routes = [];
let current = new AbortController();
let render = null;

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
  window.addEventListener("popstate", () => show());
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
}

/** Keeps `values` with this entry of the history, for the way back. */
export function remember(values) {
  history.replaceState({ ...history.state, ...values }, "");
}

async function show() {
  current.abort();
  current = new AbortController();
  const { signal } = current;
  const path = location.pathname.replace(/(.)\/$/, "$1");
  const found = routes.find(({ expression }) => expression.test(path)) ?? routes.find(({ expression }) => expression.test("/404"));
  const values = (found.expression.exec(path) ?? []).slice(1).map(decodeURIComponent);
  const parameters = Object.fromEntries(found.names.map((name, n) => [name, values[n]]));
  const y = history.state?.y ?? 0;
  await render({ path, parameters, query: new URLSearchParams(location.search), signal, state: history.state ?? {} }, found.load);
  if (!signal.aborted && !location.hash) window.scrollTo(0, y);
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
