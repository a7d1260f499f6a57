// Asks every two seconds whether something changed, as long as somebody looks.

import { get } from "./api.js";
import { h } from "./dom.js";
import { toast } from "./notice.js";

const PACE = 2000;

/**
 * Calls `changed(sessions)` after something new arrived in `session`, or in any session where it is null; says so while nobody
 * answers. What could not be drawn then is asked for again.
 */
export function follow(session, changed, signal) {
  let since = null;
  let isAsking = false;
  let isLost = false;
  const lost = h("p", { class: "toast bad" }, "Not connected: what you see may be old.");
  const look = async () => {
    if (document.visibilityState !== "visible" || isAsking || signal.aborted) return;
    isAsking = true;
    try {
      const answer = await get("/api/web/changes", { since: since ?? "", session }, signal);
      const isNew = since !== null && answer.change !== since && (session === null || answer.sessions.includes(session));
      if (isNew || isLost) await changed(answer.sessions).catch((error) => (error.status >= 400 && error.status < 500 ? null : Promise.reject(error)));
      since = answer.change;
      if (isLost) toast("Connected again.");
      isLost = false;
      lost.remove();
    } catch (error) {
      // The next look may go better.
      isLost ||= error.status === 0;
      if (isLost && !signal.aborted && !lost.isConnected) document.getElementById("toasts").append(lost);
    }
    isAsking = false;
  };
  look();
  const timer = setInterval(look, PACE);
  document.addEventListener("visibilitychange", look, { signal });
  signal.addEventListener("abort", () => {
    clearInterval(timer);
    lost.remove();
  });
}
