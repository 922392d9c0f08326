// htmx's extensions expect it under its global name.
import htmx from "htmx.org";

(globalThis as unknown as { htmx: unknown }).htmx = htmx;
