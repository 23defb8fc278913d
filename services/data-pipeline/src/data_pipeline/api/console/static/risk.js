// Keys of the review queue: n takes the next case, 1 to 4 fill in a reason, a and r decide. All are buttons as well.
"use strict";

const reason = document.querySelector("[data-reason]");
const quick = [...document.querySelectorAll("[data-quick] li")];

for (const one of quick) {
  one.addEventListener("click", () => fillIn(quick.indexOf(one)));
}

function fillIn(number) {
  if (!reason || !quick[number]) return;
  reason.value = quick[number].lastChild.textContent.trim();
}

// A verdict without a reason is not sent: the reason gets the focus, and Ctrl+Enter then sends what was chosen.
let chosen = null;
function press(key) {
  const button = document.querySelector(`button[data-key="${key}"]`);
  if (!button) return;
  if (button.name === "verdict" && !reason.value.trim()) {
    chosen = button;
    reason.placeholder = `Why ${button.value}? Ctrl+Enter sends it.`;
    reason.focus();
  } else {
    button.click();
  }
}

addEventListener("keydown", (event) => {
  if (event.target === reason) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) (chosen ?? reason.form.querySelector("button")).click();
    if (event.key === "Escape") reason.blur();
    return;
  }
  const isTyping = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  if (["n", "a", "r"].includes(event.key)) {
    event.preventDefault();
    press(event.key);
  } else if (/^[1-4]$/.test(event.key)) {
    fillIn(Number(event.key) - 1);
  }
});
