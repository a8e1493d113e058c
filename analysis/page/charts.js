"use strict";
// Charts, drawn by Observable Plot when they come near the window. Text from rows only becomes text of nodes.
{
  const made = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const looks = new Map(Object.entries(JSON.parse(document.getElementById("looks").textContent)));
  const look = (name) => looks.get(name) ?? { colour: "#808080", dash: "", symbol: "circle" };
  const tone = (colour) => `color-mix(in oklab, ${colour} var(--keep), var(--ink))`;
  const colour = (name) => tone(look(name).colour);
  const muted = "var(--muted)";
  const number = (value) => (value === null ? "–" : String(+value.toPrecision(4)));
  const clip = (name, most) => (name.length > most ? `${name.slice(0, most - 1)}…` : name);
  const objects = (columns) => {
    const keys = Object.keys(columns).filter((key) => columns[key].length);
    return !keys.length ? []
      : columns[keys[0]].map((_, place) => Object.fromEntries(keys.map((key) => [key, columns[key][place]])));
  };
  const known = (key) => (row) => row[key] !== null && row[key] !== undefined;
  const marked = { fill: (row) => colour(row.name), stroke: (row) => colour(row.name) }; // some symbols are only lines
  const symbols = {
    circle: d3.symbolCircle, square: d3.symbolSquare, triangle: d3.symbolTriangle, diamond: d3.symbolDiamond,
    wye: d3.symbolWye, cross: d3.symbolCross, times: d3.symbolTimes, star: d3.symbolStar,
  };
  // What stands for a contestant in a legend: its line, or its symbol, since colours are few.
  const swatch = (name, isLine) => {
    const drawing = d3.create("svg").attr("class", "swatch").attr("aria-hidden", "true").attr("viewBox", "-12 -8 24 16");
    const mark = drawing.append("path").style("stroke", colour(name));
    if (isLine) mark.attr("d", "M-12,0H12").attr("stroke-width", 3).attr("stroke-dasharray", look(name).dash || null);
    else mark.attr("d", d3.symbol(symbols[look(name).symbol], 25 * Math.PI)()).style("fill", colour(name)).attr("stroke-width", 1.5);
    return drawing.node();
  };
  const tipOptions = { fill: "var(--page)", stroke: "var(--line)", fontSize: 13, lineWidth: 30 };
  const base = (width, height) => ({
    width, height, style: { fontSize: "13px", background: "none", overflow: "visible" }, color: { type: "identity" },
    marginRight: 28, marginBottom: 46, // half of the widest label of a tick at the end of the axis
  });
  const pen = made("canvas").getContext("2d");
  const widthOf = (words) => {
    pen.font = "13px system-ui, sans-serif";
    return pen.measureText(words).width;
  };
  // Cut in the middle: names of relatives begin alike.
  const fitted = (name, most) => {
    let words = name;
    for (let kept = name.length - 1; kept > 1 && widthOf(words) > most; kept--) {
      words = `${name.slice(0, Math.ceil(kept / 2))}…${name.slice(name.length - Math.floor(kept / 2))}`;
    }
    return words;
  };
  // Names of rows take at most two fifths of the width, and their labels are cut to fit.
  const names = (list, width, share = 0.4) => {
    const labels = new Map(list.map((name) => [name, fitted(name, share * width)]));
    return { marginLeft: Math.ceil(Math.max(...[...labels.values()].map(widthOf))) + 16, tickFormat: (name) => labels.get(name) };
  };
  const smallest = 16; // pixels of a square of a matrix, so that its labels can be read
  const matrixNames = (list, width) => names(list, Math.min(width, 500), list.length > 15 ? 0.25 : 0.4);
  const matrixRoom = (list, width) => width - matrixNames(list, width).marginLeft - 16;
  const numFitting = (list, width) => Math.min(list.length, Math.max(2, Math.floor(matrixRoom(list, width) / smallest)));
  // A label stands below the middle of its axis; one that is longer than the axis ends where the axis does.
  const axis = (label, room = Infinity) => ({
    label, labelArrow: "none", labelAnchor: widthOf(label) > room ? "right" : "center", labelOffset: 40, grid: true,
  });
  const upright = (label) => ({ ...axis(label), labelOffset: 62, inset: 4, ticks: 8 });
  // Ticks at whole numbers where all positions are whole, as epochs are.
  const ticks = (positions, most) =>
    positions.every(Number.isInteger) ? d3.ticks(Math.min(...positions), Math.max(...positions), most).filter(Number.isInteger) : most;

  const plot = (options) => Plot.plot({ ...options, marks: options.marks.filter(Boolean) });

  const drawers = {
    intervals(panel, chart, width) {
      const rows = objects(panel.rows).map((row, place) => ({ ...row, note: (panel.notes ?? [])[place] ?? "" }));
      const list = rows.map((row) => row.name), { marginLeft, tickFormat } = names(list, width);
      const isCut = panel.range && !panel.log;
      const ends = (isCut ? panel.range : [...rows.flatMap((row) => [row.low, row.value, row.high]), panel.reference]).filter((each) => each != null);
      const left = Math.min(...ends);
      const right = Math.max(...ends);
      const domain = left === right ? { domain: [left - (Math.abs(left) || 1) / 2, left + (Math.abs(left) || 1) / 2] }
        : isCut ? { domain: [left, right] } : {};
      const isInside = (row) => known("value")(row) && row.value >= left && row.value <= right;
      const outlying = rows.filter((row) => known("value")(row) && !isInside(row)); // an arrow at the edge, with the value
      const open = rows.filter((row) => known("low")(row) && !known("high")(row));
      return plot({
        ...base(width, 24 * rows.length + 80), marginLeft,
        x: { ...axis(panel.label ?? chart.label, width - marginLeft), type: panel.log ? "log" : "linear", ...domain, nice: true, ticks: width < 500 ? 4 : 8 },
        y: { domain: list, label: null, tickFormat, tickSize: 0 },
        marks: [
          panel.band && panel.band[0] !== null && Plot.rectX([panel.band], { x1: "0", x2: "1", fill: muted, fillOpacity: 0.12, clip: true }),
          panel.reference != null && Plot.ruleX([panel.reference], { stroke: muted, strokeDasharray: "4 3", clip: true }),
          Plot.ruleY(rows.filter((row) => known("low")(row) && known("high")(row)), {
            y: "name", x1: "low", x2: "high", stroke: (row) => colour(row.name), strokeWidth: 2.5, clip: true }),
          Plot.dot(rows.filter(isInside), { x: "value", y: "name", fill: (row) => colour(row.name), r: 5 }),
          ...[left, right].map((edge) => {
            const beyond = outlying.filter((row) => (row.value < left) === (edge === left)), turn = edge === left ? -90 : 90;
            return [
              Plot.dot(beyond, { x: edge, y: "name", fill: (row) => colour(row.name), symbol: "triangle", rotate: turn, r: 5 }),
              Plot.text(beyond, { x: edge, y: "name", text: (row) => number(row.value), textAnchor: edge === left ? "start" : "end",
                dx: edge === left ? 10 : -10, fill: "currentColor", stroke: "var(--page)", strokeWidth: 4 }),
            ];
          }).flat(),
          Plot.ruleY(open, { y: "name", x1: "low", x2: right, stroke: (row) => colour(row.name), strokeWidth: 2.5 }),
          Plot.dot(open, { x: right, y: "name", fill: (row) => colour(row.name), symbol: "triangle", rotate: 90, r: 5, dx: 4 }),
          Plot.text(rows.filter((row) => !known("value")(row)), {
            x: () => (Number.isFinite(left) ? left : 0), y: "name", text: (row) => row.note || "no value", textAnchor: "start", fill: "currentColor", fontStyle: "italic" }),
          Plot.tip(rows.filter(known("value")), Plot.pointerY({
            x: (row) => Math.min(right, Math.max(left, row.value)), y: "name", ...tipOptions,
            title: (row) => `${row.name}\n${number(row.value)}${known("low")(row) && known("high")(row) ? `  (${number(row.low)} … ${number(row.high)})` : ""}` })),
        ],
      });
    },

    lines(panel, chart, width, shown) {
      const series = panel.series.filter((each) => shown.has(each.name));
      const curve = chart.step ? "step-after" : "linear";
      const points = series.flatMap((each) => each.x.map((x, place) => ({ name: each.name, x, y: each.y[place], spread: each.band?.[place] })));
      const bands = series.length <= 3 ? series : [];
      const [low, high] = panel.range ?? [];
      return plot({
        ...base(width, Math.min(420, Math.max(280, 0.5 * width))), marginLeft: 70,
        x: { ...axis(panel.across ?? chart.across), ticks: ticks(panel.series.flatMap((each) => each.x), width < 500 ? 4 : 8), tickFormat: "~g" },
        y: { ...upright(panel.label ?? chart.label), type: panel.log ? "log" : "linear", ...(panel.range ? { domain: [low, high] } : {})},
        marks: [
          ...bands.map((each) => Plot.areaY(points.filter((point) => point.name === each.name && known("spread")(point) && known("y")(point)), {
            x: "x", y1: (point) => point.y - point.spread, y2: (point) => point.y + point.spread, fill: () => colour(each.name), fillOpacity: 0.15, clip: true })),
          ...series.map((each) => Plot.lineY(points.filter((point) => point.name === each.name), {
            x: "x", y: "y", curve, stroke: () => colour(each.name), strokeWidth: 2, strokeDasharray: look(each.name).dash || undefined, clip: true })),
          ...(chart.step ? [] : series.filter((each) => each.x.length < 3)).map((each) => Plot.dot(points.filter((point) => point.name === each.name && known("y")(point)), {
            x: "x", y: "y", ...marked, symbol: look(each.name).symbol })),
          Plot.tip(points.filter(known("y")).filter((point) => low === undefined || (point.y >= low && point.y <= high)), Plot.pointer({
            x: "x", y: "y", ...tipOptions, title: (point) => `${point.name}\n${chart.across || "x"} ${number(point.x)}: ${number(point.y)}` })),
        ],
      });
    },

    points(panel, chart, width, shown) {
      const rows = objects(panel.rows).filter((row) => shown.has(row.name));
      const front = objects(panel.rows).filter((row) => row.front).sort((a, b) => a.across - b.across);
      const end = Math.max(...panel.rows.across), middle = (Math.min(...panel.rows.across) + end) / 2;
      const steps = front.length ? [...front, { across: end * 1.05, value: front.at(-1).value }] : [];
      return plot({
        ...base(width, Math.min(440, Math.max(300, 0.55 * width))), marginLeft: 70,
        x: { ...axis(chart.across), type: panel.logAcross ? "log" : "linear", ticks: width < 500 ? 4 : 8, inset: 30 },
        y: { ...upright(panel.label ?? chart.label), domain: panel.range },
        marks: [
          panel.reference != null && Plot.ruleX([panel.reference], { stroke: muted, strokeDasharray: "2 3" }),
          Plot.lineY(steps, { x: "across", y: "value", curve: "step-after", stroke: "currentColor" }),
          Plot.ruleX(rows.filter((row) => known("low")(row) && known("high")(row)), {
            x: "across", y1: "low", y2: "high", stroke: (row) => colour(row.name), strokeOpacity: 0.6, strokeWidth: 1.5, clip: true }),
          Plot.dot(rows, { x: "across", y: "value", ...marked, symbol: (row) => look(row.name).symbol, r: 5 }),
          ...["start", "end"].map((textAnchor) => Plot.text(rows.filter((row) => row.front && (row.across > middle) === (textAnchor === "end")), {
            x: "across", y: "value", text: (row) => clip(row.name, 24), dy: -12, dx: textAnchor === "start" ? -4 : 4, textAnchor,
            fill: "currentColor", stroke: "var(--page)", strokeWidth: 3, className: "declutter" })),
          Plot.tip(rows, Plot.pointer({ x: "across", y: "value", ...tipOptions,
            title: (row) => `${row.name}\nscore ${number(row.value)}, ${number(row.across)} times the time` })),
        ],
        symbol: { type: "identity" },
      });
    },

    settings(panel, chart, width) {
      const rows = objects(panel.rows), isText = typeof rows[0].across === "string";
      return plot({
        ...base(width, 260), marginLeft: 70,
        x: { ...axis(panel.across), type: isText ? "point" : panel.log ? "log" : "linear", ...(isText ? {} : { ticks: width < 500 ? 3 : 6 }) },
        y: { ...upright(panel.label) },
        marks: [
          Plot.dot(rows, { x: "across", y: "value", stroke: "var(--link)", fill: "var(--link)", fillOpacity: 0.3, r: 4 }),
          Plot.tip(rows, Plot.pointer({ x: "across", y: "value", ...tipOptions,
            title: (row) => `${isText ? row.across : number(row.across)}: ${number(row.value)}` })),
        ],
      });
    },

    // All contestants, or the best ones as far as there is room for them.
    matrix(panel, chart, width, shown, isWhole) {
      const { marginLeft, tickFormat } = matrixNames(panel.order, width);
      const list = isWhole ? panel.order : panel.order.slice(0, numFitting(panel.order, width)), among = new Set(list);
      const rows = objects(panel.rows).filter((row) => among.has(row.name) && among.has(row.across));
      const side = Math.max(smallest, Math.min(46, matrixRoom(panel.order, width) / list.length));
      const fontSize = `${Math.min(13, 0.72 * side)}px`;
      const fill = (row) => tone(row.value > 0.5 ? "#0173b2" : "#de8f05");
      return plot({
        ...base(marginLeft + 16 + side * list.length, marginLeft + side * list.length + 8),
        style: { fontSize, background: "none", overflow: "visible" }, marginLeft, marginRight: 16, marginTop: marginLeft, marginBottom: 8,
        x: { domain: list, label: null, axis: "top", tickRotate: -90, tickFormat, tickSize: 0 },
        y: { domain: list, label: null, tickFormat, tickSize: 0 },
        marks: [
          Plot.cell(rows, { x: "across", y: "name", fill, fillOpacity: (row) => 1.2 * Math.abs(row.value - 0.5), inset: 0.5, stroke: "var(--line)", strokeWidth: 0.5 }),
          side >= 34 && Plot.text(rows, { x: "across", y: "name", text: (row) => row.value.toFixed(2), fill: "currentColor", fontSize: 12 }),
          Plot.tip(rows, Plot.pointer({ x: "across", y: "name", ...tipOptions,
            title: (row) => `${row.name} better than ${row.across}:\n${number(row.value)}` })),
        ],
        opacity: { type: "identity" },
      });
    },

    critical(panel, chart, width) {
      const rows = objects(panel.rows), list = rows.map((row) => row.name), { marginLeft, tickFormat } = names(list, width);
      const last = rows.at(-1).value, gap = Math.max(0.02 * (last - 1), 0.05);
      const bars = panel.groups.flatMap(([first, end], place) => [first, end].map((row) => ({ place, name: list[row], x: last + gap * (2 + 2 * place) })));
      return plot({
        ...base(width, 24 * rows.length + 80), marginLeft,
        x: { ...axis(panel.label, width - marginLeft), ticks: d3.ticks(rows[0].value, last, width < 500 ? 4 : 8) },
        y: { domain: list, label: null, tickFormat, tickSize: 0 },
        marks: [
          Plot.dot(rows, { x: "value", y: "name", fill: (row) => colour(row.name), r: 5 }),
          Plot.line(bars, { x: "x", y: "name", z: "place", stroke: "currentColor", strokeWidth: 4 }),
          Plot.tip(rows, Plot.pointerY({ x: "value", y: "name", ...tipOptions, title: (row) => `${row.name}\nmean rank ${number(row.value)}` })),
        ],
      });
    },
  };

  // Later labels that would cover earlier ones are left out; the tip and the legend still name their points.
  const declutter = (drawing) => {
    const kept = [];
    for (const group of drawing.querySelectorAll(".declutter, [aria-label='x-axis tick label']")) {
      for (const label of group.querySelectorAll("text")) {
        const box = label.getBoundingClientRect();
        const covers = kept.some((other) => box.left < other.right + 2 && other.left < box.right + 2 && box.top < other.bottom && other.top < box.bottom);
        if (covers) label.remove();
        else kept.push(box);
      }
    }
  };

  // The drawing as a file of its own: colours as they are here, in place of the page's variables.
  const standalone = (drawing) => {
    const copy = drawing.cloneNode(true), originals = drawing.querySelectorAll("*"), copies = copy.querySelectorAll("*");
    originals.forEach((original, place) => {
      const style = getComputedStyle(original);
      for (const name of ["fill", "stroke"]) copies[place].setAttribute(name, style[name]);
    });
    const page = getComputedStyle(document.body);
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.style.cssText = `background: ${page.backgroundColor}; color: ${page.color}; font-family: sans-serif; font-size: 13px`;
    return new XMLSerializer().serializeToString(copy);
  };

  const data = new Map();
  const chartOf = (id) => {
    if (!data.has(id)) data.set(id, JSON.parse(document.getElementById(id).textContent));
    return data.get(id);
  };
  let identifiers = 0;

  const begin = (figure) => {
    const whole = chartOf(figure.dataset.chart), title = figure.dataset.title;
    const initial = figure.dataset.initial ? JSON.parse(figure.dataset.initial) : whole.initial;
    const only = figure.dataset.initial ? new Set(initial) : null;
    const panels = whole.panels.filter((panel) => !only || panel.series.some((each) => each.name === initial[0]));
    const of = (panel) => (panel.series ?? objects(panel.rows)).map((each) => each.name).filter((name) => name !== undefined);
    const hasLegend = whole.kind === "lines" || whole.kind === "points";
    let shown = new Set(whole.kind === "points" ? panels.flatMap(of) : initial), current = panels[0], width = 0, isWhole = false;
    const controls = made("div", { class: "controls" }), place = made("div", { class: "drawing" });
    const legend = made("div", { class: "legend", role: "group", "aria-label": `Contestants in ${title}` });
    const draw = () => {
      if (!width) return;
      const drawing = drawers[whole.kind](current, whole, width, shown, isWhole);
      drawing.setAttribute("role", "img");
      drawing.setAttribute("aria-label", panels.length > 1 ? `${title}: ${current.name}` : title);
      place.replaceChildren(drawing);
      place.classList.toggle("whole", isWhole);
      const scrolling = { tabindex: "0", role: "group", "aria-label": title }; // so that keys can scroll it
      for (const [key, value] of Object.entries(scrolling)) {
        if (place.scrollWidth > place.clientWidth + 1) place.setAttribute(key, value);
        else place.removeAttribute(key);
      }
      if (whole.kind === "matrix") choice();
      else declutter(drawing); // labels of a matrix fit its squares
      for (const part of drawing.querySelectorAll("[aria-label], [aria-description], [aria-hidden]")) {
        for (const name of ["aria-label", "aria-description", "aria-hidden"]) part.removeAttribute(name);
      }
    };
    // Of a large matrix the best contestants fit a narrow window; a button shows all, to be scrolled.
    const more = made("button", { type: "button", class: "more" });
    const choice = () => {
      const all = current.order.length, fitting = numFitting(current.order, width);
      more.textContent = isWhole ? `Show only the best ${fitting}` : `Show all ${all} contestants`;
      more.hidden = fitting === all;
    };
    more.addEventListener("click", () => {
      isWhole = !isWhole;
      draw();
    });
    const key = () => {
      if (!hasLegend) return;
      legend.replaceChildren(...[...new Set(of(current))].map((name) => {
        const mark = swatch(name, whole.kind === "lines");
        const button = made("button", { type: "button", "aria-pressed": String(shown.has(name)) }, mark, name);
        button.addEventListener("click", () => {
          if (shown.has(name)) shown.delete(name);
          else shown.add(name);
          button.setAttribute("aria-pressed", String(shown.has(name)));
          draw();
        });
        return button;
      }));
    };
    if (panels.length > 1) {
      const id = `panel-${identifiers++}`, select = made("select", { id });
      for (const panel of panels) select.append(made("option", {}, panel.name));
      select.addEventListener("change", () => {
        current = panels[select.selectedIndex];
        key();
        draw();
      });
      controls.append(made("label", { for: id }, "Show "), select);
    }
    const button = made("button", { type: "button", "aria-label": `Save as SVG: ${title}` }, "Save as SVG");
    button.addEventListener("click", () => save(`${title.replace(/[^\w.-]+/g, "-")}.svg`, "image/svg+xml", standalone(place.querySelector("svg"))));
    if (whole.kind === "matrix") controls.append(more);
    controls.append(button);
    figure.prepend(controls, place, legend);
    key();
    new ResizeObserver(([entry]) => {
      const now = Math.floor(Math.min(entry.contentRect.width, 900));
      if (now && now !== width) {
        width = now;
        draw();
      }
    }).observe(figure);
  };

  const near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      begin(target);
    }
  }, { rootMargin: "600px" });
  for (const figure of document.querySelectorAll("figure[data-chart]")) near.observe(figure);
}
