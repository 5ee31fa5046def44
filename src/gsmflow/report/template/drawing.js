// What all charts are drawn with.
const NS = "http://www.w3.org/2000/svg";
const PALETTE = 7; // colours that series can have
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
const colour = (value) => (value === null ? "var(--faint)" : `var(--c-${typeof value === "number" ? value % PALETTE : value})`);

// Says so where a holder shows only a part of what is in it, and lets the keyboard scroll it.
function cue(holder, label) {
  const note = html("p", "cue", null, "Scroll sideways for the rest");
  note.hidden = true;
  holder.before(note);
  const look = () => {
    const wide = holder.scrollWidth > holder.clientWidth + 2;
    note.hidden = !wide;
    holder.classList.toggle("more", wide && holder.scrollLeft + holder.clientWidth < holder.scrollWidth - 2);
    if (wide || holder.scrollHeight > holder.clientHeight + 2) {
      holder.tabIndex = 0;
      holder.setAttribute("role", "region");
      if (!holder.hasAttribute("aria-label")) holder.setAttribute("aria-label", label);
    }
  };
  holder.addEventListener("scroll", look, { passive: true });
  new ResizeObserver(look).observe(holder);
  look();
}

function ticks(low, high, wanted, whole) {
  const span = high - low || 1;
  let step = 10 ** Math.floor(Math.log10(span / wanted));
  for (const factor of [1, 2, 2.5, 5, 10]) {
    if (span / (step * factor) <= wanted) { step *= factor; break; }
  }
  if (whole) step = Math.max(1, Math.round(step));
  const found = [];
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) found.push(Math.abs(v) < step * 1e-6 ? 0 : v);
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
