// One row for each class: bars of one run, or points of several.
function rows(figure, chart) {
  const series = chart.views[0].series;
  const holder = html("div", "plot tall", figure);
  const legend = html("div", "legend", figure);
  if (chart.key) html("p", "key", figure, chart.key);
  const groups = new Map(series.map((s) => [s.group, s]));
  if (groups.size > 1) {
    for (const [group, s] of groups) {
      const entry = html("span", "entry", legend);
      mark(el("svg", { width: 14, height: 14, viewBox: "0 0 14 14", "aria-hidden": "true" }, entry), s.type === "bars" ? "square" : "circle", 7, 7, 4.5, { fill: colour(s.colour) });
      html("span", "", entry, group);
    }
  }
  const least = Math.min(0, ...series.flatMap((s) => s.y)), most = Math.max(0.01, ...series.flatMap((s) => s.y));

  function draw() {
    hideTip();
    const width = Math.max(260, Math.round(holder.clientWidth || 640) - 14);
    const left = Math.round(Math.min(170, width * 0.36)), right = 52, row = 21, top = 4;
    const height = Math.max(150, top + row * chart.rows.length + 6);
    const X = (v) => left + ((v - least) / (most - least)) * (width - left - right);
    const svg = el("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `${chart.title}. ${chart.summary}` });
    const letters = Math.floor((left - 10) / 6.6);
    chart.rows.forEach(({ name, unseen }, i) => {
      const y = top + i * row + row / 2;
      const text = el("text", { x: left - 8, y: y + 4, class: unseen ? "tick unseen" : "tick", "text-anchor": "end" }, svg, name.length > letters ? `${name.slice(0, letters - 1)}…` : name);
      el("title", {}, text, name);
      if (series[0]?.type !== "bars") el("line", { x1: left, x2: width - right, y1: y, y2: y, class: "grid" }, svg);
    });
    el("line", { x1: X(0), x2: X(0), y1: top, y2: height - 6, class: "axis" }, svg);
    for (const s of series) {
      s.x.forEach((place, i) => {
        const y = top + (place - 1) * row + row / 2, value = s.y[i], said = `${(100 * value).toFixed(1)}%`;
        let node;
        if (s.type === "bars") {
          node = el("rect", { x: Math.min(X(0), X(value)), y: y - 7, width: Math.max(1, Math.abs(X(value) - X(0))), height: 14, rx: 2, fill: colour(s.colour) }, svg);
          el("text", { x: X(Math.max(value, 0)) + 5, y: y + 4, class: "tick" }, svg, said);
        } else {
          node = mark(svg, s.mark, X(value), y, 5, { fill: s.hollow ? "var(--surface)" : colour(s.colour), stroke: colour(s.colour), "stroke-width": 1.8 });
        }
        node.addEventListener("pointermove", (event) => showTip(event, [s.names[i], s.type === "bars" ? said : `${s.group}: ${said}`]));
        node.addEventListener("pointerleave", hideTip);
      });
    }
    holder.replaceChildren(svg);
  }
  draw();
  cue(holder, chart.title);
  let drawn = holder.clientWidth;
  new ResizeObserver(() => { if (Math.abs(drawn - holder.clientWidth) > 4) { drawn = holder.clientWidth; draw(); } }).observe(holder);
}

// A matrix of shares.
function heat(figure, chart) {
  const holder = html("div", "plot scroll", figure);
  const count = chart.classes.length;
  const longest = Math.min(18, Math.max(...chart.classes.map((name) => name.length)));
  const left = 24 + 7 * longest, top = 30 + 6 * longest, cell = 38, size = count * cell;
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
  cue(holder, chart.title);
}
