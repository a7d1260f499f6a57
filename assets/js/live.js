// Asks every two seconds whether something changed, as long as somebody looks.

import { get } from "./api.js";

const PACE = 2000;

/** Calls `changed(sessions)` after something new arrived in `session`, or in any session where it is null. */
export function follow(session, changed, signal) {
  let since = null;
  let isAsking = false;
  const look = async () => {
    if (document.visibilityState !== "visible" || isAsking || signal.aborted) return;
    isAsking = true;
    try {
      const answer = await get("/api/web/changes", { since: since ?? "", session }, signal);
      const isNew = since !== null && answer.change !== since;
      since = answer.change;
      if (isNew) await changed(answer.sessions);
    } catch {
      // The next look may go better; what a reader asks for says what is wrong.
    }
    isAsking = false;
  };
  look();
  const timer = setInterval(look, PACE);
  document.addEventListener("visibilitychange", look, { signal });
  signal.addEventListener("abort", () => clearInterval(timer));
}
