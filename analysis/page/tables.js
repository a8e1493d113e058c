"use strict";
// Tables: headings that sort and explain themselves, filters of the leaderboard, and downloads of what is shown.
{
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const made = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const rules = JSON.parse(document.getElementById("markup-rules").textContent);

  // Explanations, shown under the pointer and under the keyboard's focus.
  const tip = document.body.appendChild(made("div", { role: "tooltip", id: "tip", hidden: "" }));
  const explain = (element) => {
    const place = element.getBoundingClientRect();
    tip.textContent = element.dataset.tip;
    tip.hidden = false;
    const left = Math.min(place.left, document.documentElement.clientWidth - tip.offsetWidth - 8);
    tip.style.left = `${Math.max(8, left) + scrollX}px`;
    tip.style.top = `${place.bottom + 4 + scrollY}px`;
    element.setAttribute("aria-describedby", "tip");
  };
  const silence = () => {
    tip.hidden = true;
    for (const element of all("[aria-describedby=tip]")) element.removeAttribute("aria-describedby");
  };
  document.addEventListener("keydown", (event) => event.key === "Escape" && silence());

  // Sorting. Missing values stay last, and equal ones in the order in which they are.
  const text = (cell) => cell.textContent.trim();
  const keyOf = (cell, numeric) => {
    const shown = text(cell);
    if (shown === "" || shown === "–") return null;
    if (!numeric) return shown.toLowerCase();
    const number = parseFloat(shown.replace(/[,<]/g, ""));
    return Number.isNaN(number) ? null : number;
  };
  const sort = (heading) => {
    const table = heading.closest("table"), place = heading.cellIndex, body = table.tBodies[0];
    const direction = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    const keyed = [...body.rows].map((row) => ({ row, key: keyOf(row.cells[place], heading.matches(".number")) }));
    keyed.sort((a, b) => (a.key === null) - (b.key === null) || (a.key === b.key ? 0 : a.key < b.key ? -sign : sign));
    body.append(...keyed.map((each) => each.row));
    table.dispatchEvent(new Event("sorted"));
  };
  for (const table of all("table")) {
    const sortable = table.tBodies[0].rows.length > 1;
    for (const heading of table.tHead.rows[0].cells) {
      if (!sortable && !heading.title) continue;
      const button = made("button", { type: "button" }, ...heading.childNodes);
      if (heading.title) {
        button.dataset.tip = heading.title;
        heading.removeAttribute("title");
        button.addEventListener("mouseenter", () => explain(button));
        button.addEventListener("focus", () => explain(button));
        button.addEventListener("mouseleave", silence);
        button.addEventListener("blur", silence);
      }
      if (sortable) button.addEventListener("click", () => sort(heading));
      heading.append(button);
    }
  }

  // On a narrow window each row is a block, and each cell is named by its heading.
  const narrow = matchMedia("(max-width: 640px)");
  const label = () => {
    if (!narrow.matches) return;
    narrow.removeEventListener("change", label);
    for (const table of all("table")) {
      const names = [...table.tHead.rows[0].cells].map(text);
      table.setAttribute("role", "table");
      for (const group of [table.tHead, table.tBodies[0]]) group.setAttribute("role", "rowgroup");
      for (const row of table.rows) {
        row.setAttribute("role", "row");
        for (const cell of row.cells) {
          cell.setAttribute("role", cell.tagName === "TH" ? "columnheader" : "cell");
          if (cell.tagName === "TD") cell.dataset.label = names[cell.cellIndex];
          if (cell.tagName === "TD" && keyOf(cell, false) === null) cell.classList.add("blank");
        }
      }
    }
  };
  narrow.addEventListener("change", label);
  label();

  // Filters.
  const form = document.getElementById("filters");
  if (form) {
    const table = document.querySelector("#leaderboard-table table");
    const names = [...table.tHead.rows[0].cells].map((cell) => cell.dataset.name);
    const place = Object.fromEntries(names.map((name, number) => [name, number]));
    const more = document.getElementById("more");
    let most = Number(more.dataset.most); // of the rows that fit, until all are asked for
    const known = new Map([...table.tBodies[0].rows].map((row) => [row, {
      task: text(row.cells[place.task]),
      name: text(row.cells[place.regularizer]).toLowerCase(),
      kinds: "kind" in place ? text(row.cells[place.kind]).split(", ") : [],
      cost: "cost" in place ? keyOf(row.cells[place.cost], true) : null,
    }]));
    const filter = () => {
      const wanted = new FormData(form);
      const [task, kind, name] = ["task", "kind", "name"].map((key) => wanted.get(key) ?? "");
      const highest = wanted.get("cost") ? Number(wanted.get("cost")) : Infinity;
      let count = 0;
      for (const row of table.tBodies[0].rows) {
        const each = known.get(row);
        const fits = (!task || each.task === task) && (!kind || each.kinds.includes(kind))
          && each.name.includes(name.toLowerCase())
          && (highest === Infinity || (each.cost !== null && each.cost <= highest));
        count += fits;
        row.hidden = !fits;
        row.classList.toggle("beyond", fits && count > most);
      }
      document.getElementById("num-shown").textContent = `${count} of ${known.size} rows`;
      more.textContent = `Show all ${count} rows`;
      more.hidden = count <= most;
    };
    more.addEventListener("click", () => {
      most = Infinity;
      filter();
    });
    table.addEventListener("sorted", filter);
    for (const event of ["input", "change"]) form.addEventListener(event, filter);
    form.addEventListener("reset", () => setTimeout(filter));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.hidden = false;
    filter();
  }

  // Downloads of the rows and columns that are shown, by the rules of `analysis.shown.markup`.
  const code = (letter) => {
    const point = letter.codePointAt(0);
    const known = { 9: "\\t", 10: "\\n", 13: "\\r" }[point];
    const digits = (length) => point.toString(16).padStart(length, "0");
    return known ?? (point < 256 ? `\\x${digits(2)}` : point < 65536 ? `\\u${digits(4)}` : `\\U${digits(8)}`);
  };
  const visible = (words) => words.replace(/[\p{C}\p{Z}]/gu, (letter) => (letter === " " ? " " : code(letter)));
  const harmless = (words) =>
    rules.formulas.some((start) => words.startsWith(start)) && !/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(words)
      ? `'${words}` : words;
  const quoted = (words) => (/[",\r\n]/.test(words) ? `"${words.replaceAll('"', '""')}"` : words);
  const latex = (words) =>
    [...visible(words)].map((letter) => rules.latex[letter] ?? letter).join("").replace(new RegExp(rules.minus, "gu"), "$$-$$");
  const markdown = (words) => visible(words).replace(new RegExp(rules.markdown, "gu"), "\\$&").trim();
  const formats = {
    csv: ({ headings, rows }) =>
      [headings, ...rows].map((row) => row.map((cell) => quoted(harmless(visible(cell)))).join(",")).join("\n") + "\n",
    tex: ({ name, title, headings, rows, numeric }) => [
      "\\begin{table}[htbp]",
      "\\centering",
      `\\caption{${latex(title)}}`,
      `\\label{tab:${name}}`,
      `\\begin{tabular}{${numeric.map((is) => (is ? "r" : "l")).join("")}}`,
      "\\toprule",
      `${headings.map(latex).join(" & ")} \\\\`,
      "\\midrule",
      ...rows.map((row) => `${row.map(latex).join(" & ")} \\\\`),
      "\\bottomrule", "\\end{tabular}", "\\end{table}", "",
    ].join("\n"),
    md: ({ title, headings, rows, numeric }) => [
      `### ${markdown(title)}`, "",
      ...[headings.map(markdown), numeric.map((is) => (is ? "---:" : "---")), ...rows.map((row) => row.map(markdown))]
        .map((row) => `| ${row.join(" | ")} |`), "",
    ].join("\n"),
  };
  const content = (table) => {
    const cells = [...table.tHead.rows[0].cells], rows = [...table.tBodies[0].rows].filter((row) => !row.hidden);
    return {
      headings: cells.map(text),
      numeric: cells.map((cell) => cell.matches(".number")),
      rows: rows.map((row) => [...row.cells].map(text)),
    };
  };
  window.save = (name, type, written) => {
    const link = made("a", { href: URL.createObjectURL(new Blob([written], { type })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  for (const place of all("[data-downloads]")) {
    const name = place.dataset.downloads, table = place.parentElement.querySelector("table");
    const buttons = Object.entries({ csv: "CSV", tex: "LaTeX", md: "Markdown" }).map(([ending, words]) => {
      const button = made("button", { type: "button", "data-format": ending }, words);
      button.addEventListener("click", () => {
        const whole = { name, title: place.dataset.title, ...content(table) };
        save(`${name}.${ending}`, "text/plain", formats[ending](whole));
      });
      return button;
    });
    place.append("Download: ", ...buttons);
  }

  // A link to a contestant opens its section.
  const open = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target && target.matches("details")) {
      target.open = true;
      target.scrollIntoView();
    }
  };
  addEventListener("hashchange", open);
  open();
}
