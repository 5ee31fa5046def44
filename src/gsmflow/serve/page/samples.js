// What can be asked about: pictures of one's own, and test samples kept with the run.
import { DECIDING, SHOWN, UNSURE, begin, nothing, show } from "./answer.js";
import { $, ask, drawn, guarded, make, percent, post } from "./asking.js";

const AT_ONCE = 2; // pictures asked about at a time

const state = { isAdded: () => false, kept: null, repeat: null };
const mine = []; // pictures of one's own, the newest first

// -- one's own pictures -------------------------------------------------------------------------

const add = guarded("pictures-error", async (files) => {
  const pictures = [...files].filter((file) => file.type.startsWith("image/"));
  if (!pictures.length) throw new Error(files.length ? `${files[0].name || "That"} is not a picture.` : "There is no picture in that.");
  const entries = pictures.map((file) => entryOf(file));
  $("mine").prepend(...entries.map((entry) => entry.item));
  mine.unshift(...entries);
  choose(entries[0]);
  const waiting = entries.slice(1);
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await label(next);
  }));
});

function entryOf(file) {
  const entry = { file, answer: null, item: make("li"), button: make("button"), said: make("span", "said", "…") };
  const image = make("img");
  entry.name = file.name || "pasted picture";
  entry.url = URL.createObjectURL(file);
  image.src = entry.url;
  image.alt = "";
  entry.button.type = "button";
  entry.button.setAttribute("aria-pressed", "false");
  entry.button.append(image, make("span", "", entry.name), entry.said);
  entry.button.addEventListener("click", () => choose(entry));
  entry.item.append(entry.button);
  return entry;
}

async function label(entry) {
  const form = new FormData();
  form.append("image", entry.file);
  try {
    entry.answer = await ask(`v1/predict/image?top=${SHOWN}&explain=${DECIDING}`, { method: "POST", body: form });
    const [best] = entry.answer.predictions[0].classes;
    entry.item.className = "";
    entry.said.textContent = `${best.name}, ${percent(best.probability)}${best.probability < UNSURE ? ", unsure" : ""}`;
  } catch (error) {
    entry.answer = null;
    entry.item.className = "wrong";
    entry.said.textContent = error.message;
    throw error;
  }
}

async function choose(entry) {
  await guarded("pictures-error", async () => {
    press(entry.button);
    const wanted = begin(entry.name);
    state.repeat = () => { entry.answer = null; return choose(entry); };
    try {
      if (!entry.answer) await label(entry);
    } catch (error) {
      if (wanted()) nothing("No answer.");
      throw new Error(`${entry.name}: ${error.message}`);
    }
    const picture = make("img");
    picture.alt = "";
    picture.src = entry.url;
    await show(entry.answer, { name: entry.name, picture, label: null, added: state.isAdded }, wanted);
  })();
}

function press(button) {
  for (const each of document.querySelectorAll("#mine button, #gallery button"))
    each.setAttribute("aria-pressed", String(each === button));
}

// -- test samples -------------------------------------------------------------------------------

function pictureOf(sample) {
  if (sample.pixels) return drawn(sample.pixels, state.kept.image_shape);
  if (!sample.picture) return null;
  const image = make("img");
  image.src = sample.picture;
  image.alt = "";
  return image;
}

async function tryOut(sample, button) {
  await guarded("samples-error", async () => {
    press(button);
    const wanted = begin(sample.name);
    state.repeat = () => tryOut(sample, button);
    let answer;
    try {
      const { features } = await ask(`v1/examples/${sample.index}`);
      answer = await post("v1/predict", { features: [features], top: SHOWN, explain: DECIDING });
    } catch (error) {
      if (wanted()) nothing("No answer.");
      throw error;
    }
    await show(answer, { name: sample.name, picture: pictureOf(sample), label: sample.label, added: state.isAdded }, wanted);
  })();
}

function list() {
  const wanted = $("of-class").value;
  const shown = state.kept.examples.filter((each) => wanted === "" || each.label === Number(wanted));
  $("gallery").className = shown.some((each) => each.pixels || each.picture) ? "pictures" : "named";
  $("gallery").replaceChildren(...shown.map((sample) => {
    const picture = pictureOf(sample), button = make("button", "", picture ? undefined : sample.name);
    button.type = "button";
    button.title = sample.name;
    button.setAttribute("aria-label", `Sample ${sample.index + 1}, ${sample.name}`);
    button.setAttribute("aria-pressed", "false");
    button.dataset.index = sample.index;
    if (picture) button.append(picture);
    button.addEventListener("click", () => tryOut(sample, button));
    return button;
  }));
}

export function showSamples(run, kept, isAdded) {
  Object.assign(state, { kept, isAdded });
  $("pictures").hidden = !run.takes_images;
  $("no-images").hidden = run.takes_images;
  $("no-images").textContent = `Pictures cannot be labelled: ${run.no_images}. Features can, by the API.`;
  const labels = [...new Map(kept.examples.map((each) => [each.label, each.name]))];
  $("samples").hidden = !kept.examples.length;
  $("samples-text").textContent = "Kept with the run; none of them was trained on.";
  $("filters").hidden = labels.length < 2;
  $("of-class").replaceChildren(new Option("any", ""), ...labels.map(([label, name]) => new Option(name, label)));
  list();
}

export const repeat = async () => {
  for (const entry of mine) {
    entry.answer = null;
    if (entry.item.className !== "wrong") entry.said.textContent = "asked before a class was added";
  }
  if (state.repeat) await state.repeat();
};

$("of-class").addEventListener("change", list);
$("another").addEventListener("click", () => {
  const others = [...$("gallery").children].filter((button) => button.getAttribute("aria-pressed") === "false");
  const chosen = others[Math.floor(Math.random() * others.length)];
  chosen?.click();
  chosen?.scrollIntoView({ block: "nearest" });
});
for (const id of ["file", "photo"])
  $(id).addEventListener("change", async (event) => {
    const files = [...event.target.files];
    event.target.value = ""; // so that the same file can be chosen again
    if (files.length) await add(files);
  });
for (const kind of ["dragenter", "dragover"])
  $("drop").addEventListener(kind, (event) => { event.preventDefault(); $("drop").classList.add("over"); });
for (const kind of ["dragleave", "drop"])
  $("drop").addEventListener(kind, (event) => { event.preventDefault(); $("drop").classList.remove("over"); });
$("drop").addEventListener("drop", (event) => add(event.dataTransfer.files));
document.addEventListener("paste", (event) => {
  if ($("pictures").hidden || !event.clipboardData?.files.length) return; // text goes where it is pasted
  event.preventDefault();
  add(event.clipboardData.files);
});
