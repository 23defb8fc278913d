// The rule editor: a fault's place moves the cursor there. Without this file the place is read and found by hand.
"use strict";

const editor = document.getElementById("document");

for (const link of document.querySelectorAll("a[data-line]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const before = editor.value.split("\n").slice(0, Number(link.dataset.line) - 1);
    const at = before.reduce((sum, line) => sum + line.length + 1, 0) + Number(link.dataset.column) - 1;
    editor.focus();
    editor.setSelectionRange(at, at + 1);
    editor.scrollTop = (before.length - 5) * parseFloat(getComputedStyle(editor).lineHeight);
  });
}
