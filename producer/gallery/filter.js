"use strict";
// Without this script the page still shows everything; the box only appears with it.
(() => {
  const box = document.getElementById("filter");
  if (!box) return;
  const count = document.getElementById("filter-count");
  const nobody = document.getElementById("nobody");
  const items = [...document.querySelectorAll("[data-person]")].map((link) => ({
    link: link,
    section: document.getElementById(link.dataset.person),
    words: link.dataset.words.toLocaleLowerCase(),
  }));
  const apply = () => {
    const wanted = box.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const item of items) {
      const match = wanted.every((word) => item.words.includes(word));
      item.link.hidden = item.section.hidden = !match;
      shown += match ? 1 : 0;
    }
    count.textContent = `${shown} / ${items.length} ${count.dataset.shown}`;
    nobody.hidden = shown > 0;
  };
  box.closest("form").addEventListener("submit", (event) => event.preventDefault());
  box.addEventListener("input", apply);
  box.closest("form").hidden = false;
  apply();
})();
