"use strict";
// Draws the charts that the page's data describe (see charts.py) as SVG, with hover, zoom, legends and views.
(() => {
  const NS = "http://www.w3.org/2000/svg";
  const data = JSON.parse(document.getElementById("data").textContent);
  const tip = document.getElementById("tip");

  const el = (name, attributes = {}, parent = null, text = null) => {
    const node = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== null) node.textContent = text;
    if (parent) parent.append(node);
    return node;
  };
  const html = (name, className, parent, text = null) => {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text !== null) node.textContent = text;
    if (parent) parent.append(node);
    return node;
  };
  const colour = (value) => `var(--c-${value})`;

  function ticks(low, high, wanted, whole) {
    const span = high - low || 1;
    let step = 10 ** Math.floor(Math.log10(span / wanted));
    for (const factor of [1, 2, 2.5, 5, 10]) {
      if (span / (step * factor) <= wanted) { step *= factor; break; }
    }
    if (whole) step = Math.max(1, Math.round(step));
    const found = [];
    for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) found.push(v);
    return [found, step];
  }
  function shown(value, percent, step) {
    if (percent) return `${+(100 * value).toFixed(step < 0.01 ? 1 : 0)}%`;
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1e5 || size < 1e-3) return value.toExponential(0);
    return String(+value.toFixed(Math.max(0, 2 - Math.floor(Math.log10(step || size)) - 1)));
  }

  function mark(parent, kind, x, y, r, attributes) {
    if (kind === "square") return el("rect", { x: x - r, y: y - r, width: 2 * r, height: 2 * r, ...attributes }, parent);
    const path = {
      triangle: `M${x} ${y - 1.2 * r}L${x + 1.1 * r} ${y + 0.9 * r}H${x - 1.1 * r}Z`,
      diamond: `M${x} ${y - 1.3 * r}L${x + 1.3 * r} ${y}L${x} ${y + 1.3 * r}L${x - 1.3 * r} ${y}Z`,
      cross: `M${x - r} ${y - r}L${x + r} ${y + r}M${x - r} ${y + r}L${x + r} ${y - r}`,
    }[kind];
    if (path) return el("path", { d: path, ...attributes }, parent);
    return el("circle", { cx: x, cy: y, r, ...attributes }, parent);
  }

  function showTip(event, lines) {
    tip.replaceChildren(...lines.map((line) => html("div", "", null, line)));
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = Math.min(event.clientX + 14, window.innerWidth - box.width - 8);
    const top = event.clientY + 18 + box.height > window.innerHeight ? event.clientY - box.height - 12 : event.clientY + 18;
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${Math.max(4, top)}px`;
  }
  const hideTip = () => { tip.hidden = true; };

  function xy(figure, chart) {
    const hiddenGroups = new Set();
    let view = 0, zoom = null;
    const bar = html("div", "bar", figure);
    if (chart.views.length > 1) {
      const label = html("label", "", bar, "show ");
      const select = html("select", "", label);
      chart.views.forEach((each, index) => { html("option", "", select, each.name).value = index; });
      select.addEventListener("change", () => { view = +select.value; zoom = null; draw(); });
    }
    const reset = html("button", "reset", bar, "whole picture");
    reset.type = "button";
    reset.addEventListener("click", () => { zoom = null; draw(); });
    const holder = html("div", "plot", figure);
    const legend = html("div", "legend", figure);
    if (chart.key) html("p", "key", figure, chart.key);

    function extent(series) {
      let x0 = Infinity, x1 = -Infinity, y0 = Infinity, y1 = -Infinity;
      for (const s of series) {
        for (const v of s.x) { x0 = Math.min(x0, v); x1 = Math.max(x1, v); }
        for (const v of s.y) { y0 = Math.min(y0, v); y1 = Math.max(y1, v); }
      }
      for (const g of chart.guides || []) if (g.y !== undefined) { y0 = Math.min(y0, g.y); y1 = Math.max(y1, g.y); }
      if (x0 > x1) return [0, 1, 0, 1];
      if (chart.zero) { y0 = Math.min(y0, 0); if (chart.square) x0 = Math.min(x0, 0); }
      const px = (x1 - x0 || 1) * 0.03, py = (y1 - y0 || 1) * 0.06;
      const bars = series.some((s) => s.type === "bars");
      return [chart.zero && chart.square ? x0 : x0 - (bars ? 0.7 : px), x1 + (bars ? 0.7 : px), chart.zero ? y0 : y0 - py, y1 + py];
    }

    function draw() {
      hideTip();
      const series = chart.views[view].series;
      const visible = series.filter((s) => !hiddenGroups.has(s.group));
      const width = Math.max(280, Math.round(holder.clientWidth || 640));
      const height = Math.round(chart.square ? Math.min(width * 0.8, 460) : Math.min(width * 0.55, 340));
      const margin = chart.plain ? { l: 8, r: 8, t: 8, b: 8 } : { l: 58, r: 14, t: 10, b: 46 };
      const [x0, x1, y0, y1] = zoom || extent(series);
      const X = (v) => margin.l + ((v - x0) / (x1 - x0)) * (width - margin.l - margin.r);
      const Y = (v) => height - margin.b - ((v - y0) / (y1 - y0)) * (height - margin.t - margin.b);
      const svg = el("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `${chart.title}. ${chart.summary}` });
      const id = `clip-${figure.id}`;
      el("rect", { x: margin.l, y: margin.t, width: width - margin.l - margin.r, height: height - margin.t - margin.b }, el("clipPath", { id }, el("defs", {}, svg)));
      const percent = chart.percent || [];
      if (!chart.plain) {
        const [ys, stepY] = ticks(y0, y1, 5, false);
        for (const v of ys) {
          el("line", { x1: margin.l, x2: width - margin.r, y1: Y(v), y2: Y(v), class: "grid" }, svg);
          el("text", { x: margin.l - 7, y: Y(v) + 4, class: "tick", "text-anchor": "end" }, svg, shown(v, percent.includes("y"), stepY));
        }
        const [xs, stepX] = ticks(x0, x1, Math.max(3, Math.round(width / 110)), chart.whole);
        for (const v of xs) el("text", { x: X(v), y: height - margin.b + 18, class: "tick", "text-anchor": "middle" }, svg, shown(v, percent.includes("x"), stepX));
        el("line", { x1: margin.l, x2: width - margin.r, y1: height - margin.b, y2: height - margin.b, class: "axis" }, svg);
        el("text", { x: (margin.l + width - margin.r) / 2, y: height - 8, class: "label", "text-anchor": "middle" }, svg, chart.x);
        el("text", { transform: `translate(14 ${(margin.t + height - margin.b) / 2}) rotate(-90)`, class: "label", "text-anchor": "middle" }, svg, chart.y);
      }
      const inside = el("g", { "clip-path": `url(#${id})` }, svg);
      for (const g of chart.guides || []) {
        const low = Math.max(x0, y0), high = Math.min(x1, y1);
        const ends = g.diagonal ? { x1: X(low), y1: Y(low), x2: X(high), y2: Y(high) } : { x1: margin.l, x2: width - margin.r, y1: Y(g.y), y2: Y(g.y) };
        el("line", { ...ends, class: "guide" }, inside);
        if (g.label) el("text", { x: ends.x2 - 4, y: (g.diagonal ? ends.y2 + 14 : ends.y2 - 5), class: "tick", "text-anchor": "end" }, inside, g.label);
      }
      const near = [];
      for (const s of visible) {
        const c = colour(s.colour);
        if (s.type === "line") {
          const path = s.x.map((v, i) => `${i ? "L" : "M"}${X(v).toFixed(1)} ${Y(s.y[i]).toFixed(1)}`).join("");
          if (s.area && s.x.length) {
            el("path", { d: `${path}L${X(s.x[s.x.length - 1]).toFixed(1)} ${Y(0)}L${X(s.x[0]).toFixed(1)} ${Y(0)}Z`, fill: c, "fill-opacity": 0.12 }, inside);
          }
          el("path", { d: path, fill: "none", stroke: c, "stroke-width": s.faint ? 1.2 : 2, "stroke-opacity": s.faint ? 0.6 : 1, "stroke-dasharray": s.dash ? "5 4" : "none", "stroke-linejoin": "round" }, inside);
        }
        const slot = s.type === "bars" ? (X(1) - X(0)) * 0.8 : 0;
        s.x.forEach((v, i) => {
          const px = X(v), py = Y(s.y[i]);
          if (s.type === "bars") {
            const base = Y(0);
            el("rect", { x: px - slot / 2, y: Math.min(py, base), width: Math.max(1, slot), height: Math.max(0.75, Math.abs(base - py)), fill: c, "fill-opacity": s.hatch ? 1 : 0.75 }, inside);
          } else if (s.type === "points" || s.dots) {
            const size = s.size || (s.type === "points" ? 3.6 : 2.4);
            const hollow = s.hollow || s.mark === "cross";
            mark(inside, s.mark || "circle", px, py, size, { fill: hollow ? "none" : c, stroke: hollow ? c : "var(--surface)", "stroke-width": hollow ? 1.6 : 0.7, "fill-opacity": chart.plain ? 0.75 : 1 });
          }
          near.push([px, py, s, i]);
        });
      }
      const cursor = el("circle", { r: 7, class: "cursor", visibility: "hidden" }, svg);
      const box = el("rect", { class: "zoombox", visibility: "hidden" }, svg);
      const place = (event) => {
        const r = svg.getBoundingClientRect();
        return [((event.clientX - r.left) * width) / r.width, ((event.clientY - r.top) * height) / r.height];
      };
      let from = null;
      svg.addEventListener("pointermove", (event) => {
        const [mx, my] = place(event);
        if (from) {
          const attributes = { x: Math.min(mx, from[0]), y: Math.min(my, from[1]), width: Math.abs(mx - from[0]), height: Math.abs(my - from[1]), visibility: "visible" };
          for (const [k, v] of Object.entries(attributes)) box.setAttribute(k, v);
          return;
        }
        let best = null, least = 900;
        for (const entry of near) {
          const bars = entry[2].type === "bars";
          const d = (entry[0] - mx) ** 2 + (bars ? 0 : (entry[1] - my) ** 2);
          if (d < least) { least = d; best = entry; }
        }
        if (!best) { cursor.setAttribute("visibility", "hidden"); hideTip(); return; }
        const [px, py, s, i] = best;
        cursor.setAttribute("cx", px); cursor.setAttribute("cy", py); cursor.setAttribute("visibility", "visible");
        const lines = [s.names && s.names[i] ? s.names[i] : s.name];
        if (s.names && s.names[i] && s.names[i] !== s.name && !s.names[i].startsWith(s.name)) lines.push(s.name);
        if (!chart.plain) {
          const y = percent.includes("y") ? `${(100 * s.y[i]).toFixed(1)}%` : String(s.y[i]);
          const x = percent.includes("x") ? `${(100 * s.x[i]).toFixed(1)}%` : String(s.x[i]);
          lines.push(chart.whole ? y : `${y} at ${x}`);
        }
        showTip(event, lines);
      });
      svg.addEventListener("pointerleave", () => { cursor.setAttribute("visibility", "hidden"); hideTip(); });
      svg.addEventListener("pointerdown", (event) => { if (event.pointerType === "mouse" && event.button === 0) { from = place(event); svg.setPointerCapture(event.pointerId); } });
      svg.addEventListener("pointerup", (event) => {
        if (!from) return;
        const [mx, my] = place(event), begun = from;
        from = null;
        box.setAttribute("visibility", "hidden");
        if (Math.abs(mx - begun[0]) < 8 || Math.abs(my - begun[1]) < 8) return;
        const vx = (p) => x0 + ((p - margin.l) / (width - margin.l - margin.r)) * (x1 - x0);
        const vy = (p) => y0 + ((height - margin.b - p) / (height - margin.t - margin.b)) * (y1 - y0);
        zoom = [vx(Math.min(mx, begun[0])), vx(Math.max(mx, begun[0])), vy(Math.max(my, begun[1])), vy(Math.min(my, begun[1]))];
        draw();
      });
      svg.addEventListener("dblclick", () => { zoom = null; draw(); });
      holder.replaceChildren(svg);
      reset.hidden = zoom === null;
      entries(series);
    }

    function entries(series) {
      const groups = new Map();
      for (const s of series) if (!groups.has(s.group)) groups.set(s.group, s);
      legend.replaceChildren();
      if (groups.size < 2) return;
      for (const [group, s] of groups) {
        const button = html("button", "entry", legend);
        button.type = "button";
        button.setAttribute("aria-pressed", String(!hiddenGroups.has(group)));
        const swatch = el("svg", { width: 14, height: 14, viewBox: "0 0 14 14", "aria-hidden": "true" });
        if (s.type === "line") el("line", { x1: 0, x2: 14, y1: 7, y2: 7, stroke: colour(s.colour), "stroke-width": 2.5, "stroke-dasharray": s.dash ? "4 3" : "none" }, swatch);
        else mark(swatch, s.type === "bars" ? "square" : s.mark || "circle", 7, 7, 4.5, { fill: s.mark === "cross" ? "none" : colour(s.colour), stroke: colour(s.colour), "stroke-width": 1.5 });
        button.append(swatch);
        html("span", "", button, group);
        button.addEventListener("click", () => { hiddenGroups.has(group) ? hiddenGroups.delete(group) : hiddenGroups.add(group); draw(); });
      }
    }
    draw();
    new ResizeObserver(() => { if (Math.abs((holder.firstChild?.width?.baseVal.value || 0) - holder.clientWidth) > 4) draw(); }).observe(holder);
  }

  function heat(figure, chart) {
    const holder = html("div", "plot scroll", figure);
    const count = chart.classes.length;
    const left = 150, top = 130, cell = 38, size = count * cell;
    const svg = el("svg", { viewBox: `0 0 ${left + size + 90} ${top + size + 8}`, width: left + size + 90, height: top + size + 8, role: "img", "aria-label": `${chart.title}. ${chart.summary}` }, holder);
    const short = (name) => (name.length > 18 ? `${name.slice(0, 17)}…` : name);
    chart.classes.forEach((name, i) => {
      const style = chart.unseen[i] ? "tick unseen" : "tick";
      el("title", {}, el("text", { x: left - 8, y: top + i * cell + cell / 2 + 4, class: style, "text-anchor": "end" }, svg, short(name)), name);
      el("title", {}, el("text", { transform: `translate(${left + i * cell + cell / 2 + 4} ${top - 8}) rotate(-55)`, class: style }, svg, short(name)), name);
    });
    chart.rates.forEach((row, i) => row.forEach((rate, j) => {
      const box = el("rect", { x: left + j * cell, y: top + i * cell, width: cell - 2, height: cell - 2, rx: 3, fill: i === j ? "var(--c-seen)" : "var(--c-wrong)", "fill-opacity": 0.06 + 0.94 * rate }, svg);
      if (rate >= 0.005) el("text", { x: left + j * cell + cell / 2 - 1, y: top + i * cell + cell / 2 + 4, class: rate > 0.55 ? "cell strong" : "cell", "text-anchor": "middle" }, svg, Math.round(100 * rate));
      box.addEventListener("pointermove", (event) => showTip(event, [`${(100 * rate).toFixed(1)}% of ${chart.classes[i]}`, i === j ? "recognised" : `called ${chart.classes[j]}`]));
      box.addEventListener("pointerleave", hideTip);
    }));
  }

  data.charts.forEach((chart, index) => {
    const figure = document.getElementById(`chart-${index}`);
    if (figure) (chart.kind === "heat" ? heat : xy)(figure, chart);
  });

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = head.querySelector("button");
      button?.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
        const rows = [...table.tBodies[0].rows].sort((a, b) => {
          const x = value(a), y = value(b), nx = parseFloat(x), ny = parseFloat(y);
          if (x === "" || y === "") return (x === "") - (y === "");
          const order = Number.isNaN(nx) || Number.isNaN(ny) ? x.localeCompare(y) : nx - ny;
          return up ? order : -order;
        });
        table.tBodies[0].append(...rows);
      });
    });
  }
  const theme = document.getElementById("theme");
  const apply = (value) => { document.documentElement.dataset.theme = value; theme.value = value; };
  theme.addEventListener("change", () => { try { localStorage.setItem("gsmflow-theme", theme.value); } catch { /* opened from disk without storage */ } apply(theme.value); });
  let kept = "auto";
  try { kept = localStorage.getItem("gsmflow-theme") || "auto"; } catch { /* as above */ }
  apply(kept);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
})();
