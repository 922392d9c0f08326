// What every page has: live updates by htmx, and keys.
import "./page.css";
import "./htmx-global";
import "htmx.org/dist/ext/hx-sse.js";
import { listenForKeys } from "./keys";
import { watchMarks } from "./marks";
import { text } from "./texts";

listenForKeys();
watchMarks();

// The stream says whether the database answers; the light in the top bar shows it.
document.addEventListener("database", (event) => {
  const light = document.getElementById("light");
  const said = (event as CustomEvent<{ data?: string }>).detail;
  if (light === null) return;
  const isThere = said?.data !== "away";
  light.textContent = isThere ? text("● live") : text("○ database unreachable, retrying");
  light.className = `light ${isThere ? "good" : "bad"}`;
});

// A page whose session ended leads to the form, and back to itself.
document.addEventListener("htmx:after:request", (event) => {
  const context = (event as CustomEvent<{ ctx?: { response?: { status?: number } } }>).detail?.ctx;
  if (context?.response?.status === 401) {
    location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
});
