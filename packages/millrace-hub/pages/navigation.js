// The way from page to page: one for each thing that events are good for.

import { element } from "./dom.js";

const pages = {
  "/": "Machine",
  "/dashboard": "Dashboard",
  "/stocks": "Stocks",
  "/news": "News",
  "/chat": "Chat",
  "/scores": "Scores",
  "/sensors": "Sensors",
  "/notifications": "Notifications",
  "/document": "Document",
};

/** Puts the links behind the top line. */
export function showNavigation() {
  const nav = element("nav", "pages");
  nav.setAttribute("aria-label", "Pages");
  for (const [path, name] of Object.entries(pages)) {
    const link = element("a", "", name);
    link.href = path;
    if (path === location.pathname) link.setAttribute("aria-current", "page");
    nav.append(link);
  }
  document.querySelector(".top").after(nav);
  // On a narrow screen the line of links scrolls, and this page's own may be outside.
  const here = nav.querySelector("[aria-current]");
  if (here) nav.scrollLeft = here.offsetLeft - (nav.clientWidth - here.clientWidth) / 2;
}
