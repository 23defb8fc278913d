// Live refresh and keys. Every page works without this file: it only saves reloading and the mouse.
"use strict";

const live = document.querySelector("[data-refresh-ms]");

// Fetch this very page again and swap the parts marked data-live, keeping opened <details> and a chosen text.
async function refresh() {
  if (document.hidden || String(getSelection())) return;
  try {
    // The header says that nobody is looking just now: a screen that refreshes itself does not keep its session.
    const response = await fetch(location.href, { cache: "no-store", headers: { "Console-Refresh": "1" } });
    if (response.redirected) return location.reload(); // the session has ended
    if (!response.ok) throw new Error(String(response.status));
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    const opened = [...document.querySelectorAll("details[open][id]")].map((one) => one.id);
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
      if (next && !part.contains(document.activeElement)) part.replaceChildren(...next.childNodes);
    }
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    document.body.classList.remove("offline");
  } catch {
    document.body.classList.add("offline"); // the style sheet says that what is shown no longer moves
  }
}

if (live) setInterval(refresh, Number(live.dataset.refreshMs));

// j and k move over the rows of the page's tables: the focus goes to a row's first link, so Enter opens it.
function move(step) {
  const rows = [...document.querySelectorAll("main tbody tr")].map((row) => row.querySelector("a")).filter(Boolean);
  const at = rows.findIndex((link) => link.closest("tr").contains(document.activeElement));
  rows[Math.min(rows.length - 1, Math.max(0, at + step))]?.focus();
}

const keys = {
  "/": () => document.getElementById("q")?.focus(),
  "?": () => document.getElementById("keys")?.showModal(),
  j: () => move(1),
  k: () => move(-1),
};

addEventListener("keydown", (event) => {
  const isTyping = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
  const act = keys[event.key];
  if (!act || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act();
});
