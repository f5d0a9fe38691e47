// Choose all rows of a list. A file of its own: a content security policy may forbid scripts in the page.
for (const all of document.querySelectorAll(".sockudo-choose-all")) {
  all.addEventListener("change", () => {
    for (const box of document.querySelectorAll(".action-select")) box.checked = all.checked
  })
}
