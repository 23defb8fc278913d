// Live refresh and two keys. Every page works without this file: it only saves reloading.
"use strict";

const live = document.querySelector("[data-refresh-ms]");

// Fetch this very page again and swap the parts marked data-live, keeping opened <details> and a chosen text.
async function refresh() {
  if (document.hidden || String(getSelection())) return;
  try {
    const response = await fetch(location.href, { cache: "no-store" });
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

addEventListener("keydown", (event) => {
  const isTyping = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    document.getElementById("q").focus();
  }
});
