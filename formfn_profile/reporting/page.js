"use strict";
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  table.querySelectorAll("th").forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => {
        const cell = row.cells[column];
        const text = cell.dataset.key ?? cell.textContent;
        if (text === "-") return [2, 0];
        const number = Number(text);
        return Number.isNaN(number) ? [1, text] : [0, number];
      };
      const order = (one, other) => {
        const [a, b] = [key(one), key(other)];
        if (a[0] === 2 || b[0] === 2) return a[0] - b[0];
        if (a[0] !== b[0]) return (a[0] - b[0]) * (down ? -1 : 1);
        return (a[0] ? a[1].localeCompare(b[1]) : a[1] - b[1]) * (down ? -1 : 1);
      };
      body.append(...Array.from(body.rows).sort(order));
    });
  });
}
const looks = { "holds": "holds", "doesn't": "refuted", "inconclusive": "open", "not measured": "open" };
for (const row of document.querySelectorAll("table.claims tbody tr")) {
  row.cells[0].classList.add(looks[row.cells[0].textContent]);
}
