// Adding a class: like another, but; or by a sentence.
import { $, ask, guarded, make, percent, post, short } from "./asking.js";

let attributes = []; // of the class that the new one is like
let after = async () => {};
let nameIsEnough = false; // where texts alone describe the classes

async function lookLike(index) {
  const chosen = new Map([...$("differences").querySelectorAll("input")].map((input) => [input.name, input.value]));
  attributes = (await ask(`v1/classes/${index}`)).attributes;
  $("attribute").replaceChildren(...attributes.map((each) => new Option(`${each.name} (${short(each.value)})`, each.name)));
  for (const item of [...$("differences").children]) item.remove();
  for (const [name, value] of chosen) differ(name, value);
}

function differ(name, value) {
  const attribute = attributes.find((each) => each.name === name);
  if (!attribute) return;
  const known = [...$("differences").querySelectorAll("input")].find((input) => input.name === name);
  if (known) { known.focus(); return; }
  const item = make("li"), field = make("label"), input = make("input"), remove = make("button", "", "Remove");
  Object.assign(input, { type: "number", step: "any", required: true, name, value: value ?? short(attribute.value) });
  field.append(make("span", "", name), input);
  const range = `${short(attribute.low)} to ${short(attribute.high)} over all classes`;
  remove.type = "button";
  remove.setAttribute("aria-label", `Remove the difference in ${name}`);
  remove.addEventListener("click", () => { item.remove(); $("differ").focus(); });
  item.append(field, make("span", "quiet", `instead of ${short(attribute.value)}; ${range}`), remove);
  $("differences").append(item);
  if (value === undefined) input.select();
}

function asked() {
  const name = $("new-name").value;
  if ($("described-by").value === "text") return $("text").value.trim() || !nameIsEnough ? { name, text: $("text").value } : { name };
  const inputs = [...$("differences").querySelectorAll("input")];
  if (!inputs.length) throw new Error(`Say in what it differs from ${$("like").selectedOptions[0].text}.`);
  const semantics = Object.fromEntries(inputs.map((input) => [input.name, Number(input.value)]));
  return { name, like: $("like").selectedOptions[0].text, semantics };
}

const addClass = guarded("add-error", async () => {
  const wish = asked();
  $("add-button").disabled = true;
  $("added").hidden = true;
  $("add-state").textContent = "Learning it …";
  try {
    const added = await post("v1/classes", wish);
    showAdded(added);
    $("new-name").value = $("text").value = "";
    $("differences").replaceChildren();
    await after();
  } finally {
    $("add-button").disabled = false;
    $("add-state").textContent = "";
  }
});

function showAdded(added) {
  $("added").hidden = false;
  const untested = added.before.S === null && added.before.U === null;
  $("added-text").textContent =
    `${added.name} was added in ${added.seconds.toFixed(1)} seconds; ${added.run} answers from now on. ` +
    (untested ? "There are no test samples to score the old classes on." : "On the test set, the old classes:");
  const head = make("tr");
  head.append(make("th", "", "Scores"), ...["U", "S", "H"].map((text) => make("th", "n", text)));
  for (const each of head.children) each.scope = "col";
  const rows = [["before", added.before], ["after", added.after]].map(([when, scores]) => {
    const row = make("tr"), first = make("th", "", when);
    first.scope = "row";
    row.append(first, ...["U", "S", "H"].map((key) => make("td", "n", percent(scores[key]))));
    return row;
  });
  $("added-table").replaceChildren(...(untested ? [] : [head, ...rows]));
  $("added-notes").replaceChildren(...added.notes.map((note) => make("li", "", note)));
}

export async function offer(run, classes, then) {
  after = then;
  $("add").hidden = !run.adds_classes;
  if (!run.adds_classes) return;
  nameIsEnough = run.takes_text && !run.has_attributes;
  $("by").hidden = !run.takes_text || nameIsEnough;
  $("text-label").textContent = nameIsEnough ? "Sentence, if its name does not say how it looks" : "Sentence";
  if (nameIsEnough) byText(true);
  const chosen = $("like").value || "0";
  $("like").replaceChildren(...classes.map((entry) => new Option(entry.name, entry.index)));
  $("like").value = chosen;
  await lookLike(chosen);
}

$("like").addEventListener("change", (event) => guarded("add-error", lookLike)(event.target.value));
$("differ").addEventListener("click", () => { $("add-error").textContent = ""; differ($("attribute").value); });
function byText(text) {
  $("described-by").value = text ? "text" : "like";
  $("by-text").hidden = !text;
  $("by-likeness").hidden = text;
  $("text").required = text && !nameIsEnough;
  for (const input of $("differences").querySelectorAll("input")) input.disabled = text;
}
$("described-by").addEventListener("change", (event) => byText(event.target.value === "text"));
$("add-form").addEventListener("submit", (event) => { event.preventDefault(); addClass(); });
