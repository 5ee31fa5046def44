// The answer: classes, what decided, and all attributes' values.
import { $, ask, badge, make, percent, short } from "./asking.js";

export const SHOWN = 5; // classes in the answer
export const DECIDING = 8; // attributes that decided
export const UNSURE = 0.5; // an answer less probable is called unsure, as by `gsmflow predict`
const COMPARED = 3; // classes with their attributes

let turn = 0;

// The answer that stands goes; what comes back can tell whether it is still wanted.
export function begin(name) {
  const mine = ++turn;
  $("answered").hidden = true;
  $("nothing").className = "quiet";
  $("nothing").textContent = `Looking at ${name} …`;
  return () => mine === turn;
}

export function nothing(text) {
  turn += 1;
  $("answered").hidden = true;
  $("nothing").className = "quiet";
  $("nothing").textContent = text;
}

export async function show(answer, { name, picture, label, added }, wanted) {
  const prediction = answer.predictions[0], ranks = prediction.classes;
  const compared = await Promise.all(ranks.slice(0, COMPARED).map((rank) => ask(`v1/classes/${rank.index}`)));
  if (!wanted()) return;
  $("nothing").textContent = `${name}: ${ranks[0].name}, ${percent(ranks[0].probability)}`;
  $("nothing").className = "heard"; // a screen reader says it; others see it below
  $("answered").hidden = false;
  $("asked-name").textContent = name;
  $("picture").replaceChildren(...(picture ? [picture] : []));
  const place = ranks.findIndex((rank) => rank.index === label);
  $("verdict").textContent =
    label === null ? (ranks[0].probability < UNSURE ? `your picture; unsure: no class has ${percent(UNSURE)}` : "your picture")
    : place === 0 ? "its true class; recognised"
    : place > 0 ? `its true class; named in place ${place + 1}`
    : `its true class; not among the first ${ranks.length}`;
  $("ranks").replaceChildren(...ranks.map((rank) => {
    const item = make("li", rank.seen ? "seen" : "unseen");
    const line = make("div", "rank");
    const text = make("b", "", `${rank.name} `);
    text.append(badge({ ...rank, added: added(rank.index) }));
    line.append(text, make("span", "number", percent(rank.probability)));
    item.append(line, bar(rank.probability));
    return item;
  }));
  $("answered-by").textContent = `Answered by ${answer.run}.`;
  reasons(prediction, compared);
  values(compared);
}

function bar(share) {
  const box = make("div", "bar");
  const filled = make("i");
  filled.style.width = `${100 * share}%`;
  box.append(filled);
  return box;
}

function heads(compared) {
  const row = make("tr");
  row.append(make("th", "", "Attribute"), ...compared.map((c) => make("th", c.seen ? "seen" : "unseen", c.name)));
  for (const head of row.children) head.scope = "col";
  const thead = make("thead");
  thead.append(row);
  return thead;
}

function reasons({ reasons: told, explained }, compared) {
  const telling = told.filter((reason) => reason.contributions.some((value) => Math.abs(value) > 1e-6));
  const most = Math.max(...telling.flatMap((r) => r.contributions.map(Math.abs)), 1e-12);
  $("why-text").textContent = telling.length
    ? "How much each attribute speaks for a class (+) or against it (−): its weight in this answer times the class's " +
      `value. Attributes account for ${Math.round(100 * explained)}% of the differences between the classes' scores.`
    : "The attributes do not account for this answer.";
  const tbody = make("tbody");
  for (const reason of telling) {
    const row = make("tr"), head = make("th", "", reason.name);
    head.scope = "row";
    row.append(head);
    compared.forEach((c, i) => {
      const value = reason.contributions[i], cell = make("td", value < 0 ? "against" : "for");
      const track = make("span", "track"), filled = make("i");
      filled.style.width = `${(50 * Math.abs(value)) / most}%`;
      track.append(filled);
      cell.append(track, `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`);
      row.append(cell);
    });
    tbody.append(row);
  }
  $("reasons").replaceChildren(...(telling.length ? [heads(compared), tbody] : []));
}

function values(compared) {
  const tbody = make("tbody");
  compared[0].attributes.forEach((attribute, d) => {
    const row = make("tr"), head = make("th", "", attribute.name);
    head.scope = "row";
    row.append(head);
    for (const { attributes, seen } of compared) {
      const { value, low, high } = attributes[d];
      const cell = make("td", seen ? "seen" : "unseen");
      const box = bar(high > low ? (value - low) / (high - low) : 0);
      if (value === low) box.firstChild.style.minWidth = "0";
      cell.append(box, short(value));
      row.append(cell);
    }
    tbody.append(row);
  });
  $("attributes").replaceChildren(heads(compared), tbody);
}

$("more").addEventListener("click", () => {
  const open = $("all-values").hidden;
  $("all-values").hidden = !open;
  $("more").setAttribute("aria-expanded", String(open));
  $("more").textContent = open ? "Hide the values of all attributes" : "Show the values of all attributes";
});
