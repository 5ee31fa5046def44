// Lines and points over two axes, with hover, zoom, a legend and views.
function xy(figure, chart) {
  const hiddenGroups = new Set();
  const chosen = chart.highlight ? [...chart.highlight] : null; // groups that stand out, in the order of their colours
  let view = 0, zoom = null;
  const bar = html("div", "bar", figure);
  if (chart.views.length > 1) {
    const label = html("label", "", bar, "Show ");
    const select = html("select", "", label);
    chart.views.forEach((each, index) => { html("option", "", select, each.name).value = index; });
    select.addEventListener("change", () => { view = +select.value; zoom = null; draw(); });
  }
  const reset = html("button", "reset", bar, "Reset zoom");
  reset.type = "button";
  reset.addEventListener("click", () => { zoom = null; draw(); });
  const holder = html("div", "plot", figure);
  const legend = html("div", "legend", figure);
  if (chart.key) html("p", "key", figure, chart.key);
  const tone = (s) => (chosen ? (chosen.includes(s.group) ? chosen.indexOf(s.group) % PALETTE : null) : s.colour);

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
    if (chosen) visible.sort((a, b) => chosen.includes(a.group) - chosen.includes(b.group)); // drawn last, over the rest
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
      const c = colour(tone(s));
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
      zoom = [vx(Math.min(mx, begun[0])), vx(Math.max(mx, begun[0])), chart.zero && !chart.square ? y0 : vy(Math.max(my, begun[1])), vy(Math.min(my, begun[1]))]; // what stands on zero stays on it
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
      const on = chosen ? chosen.includes(group) : !hiddenGroups.has(group);
      button.setAttribute("aria-pressed", String(on));
      if (chosen) button.classList.add("choice");
      const c = colour(tone(s));
      const swatch = el("svg", { width: 14, height: 14, viewBox: "0 0 14 14", "aria-hidden": "true" });
      if (s.type === "line") el("line", { x1: 0, x2: 14, y1: 7, y2: 7, stroke: c, "stroke-width": 2.5, "stroke-dasharray": s.dash ? "4 3" : "none" }, swatch);
      else mark(swatch, s.type === "bars" ? "square" : s.mark || "circle", 7, 7, 4.5, { fill: s.mark === "cross" ? "none" : c, stroke: c, "stroke-width": 1.5 });
      button.append(swatch);
      html("span", "", button, chosen && s.unseen ? `${group} (unseen)` : group);
      button.addEventListener("click", () => { 
        if (chosen) chosen.includes(group) ? chosen.splice(chosen.indexOf(group), 1) : chosen.push(group);
        else hiddenGroups.has(group) ? hiddenGroups.delete(group) : hiddenGroups.add(group);
        const index = [...legend.children].indexOf(button);
        draw();
        legend.children[index]?.focus();
      });
    }
  }
  draw();
  new ResizeObserver(() => { if (Math.abs((holder.firstChild?.width?.baseVal.value || 0) - holder.clientWidth) > 4) draw(); }).observe(holder);
}
