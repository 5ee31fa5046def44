// The page as a whole: what is served, signing in, light and dark.
import { offer } from "./adding.js";
import { $, ask, badge, guarded, make, onSignIn, percent, stored } from "./asking.js";
import { repeat, showSamples } from "./samples.js";

async function load() {
  const [run, { classes }, kept] = await Promise.all([ask("v1/run"), ask("v1/classes"), ask("v1/examples")]);
  $("token-form").hidden = true;
  $("token-error").textContent = "";
  showRun(run, classes);
  showSamples(run, kept, isAdded);
  $("signed-in").hidden = false;
  await offer(run, classes, grown);
}

let added = new Set();
const isAdded = (index) => added.has(index);

// A class was added: another version of the run answers.
async function grown() {
  const [run, { classes }] = await Promise.all([ask("v1/run"), ask("v1/classes")]);
  showRun(run, classes);
  await offer(run, classes, grown);
  await repeat();
}

function showRun(run, classes) {
  $("why").hidden = !run.has_attributes;
  added = new Set(classes.filter((entry) => entry.added).map((entry) => entry.index));
  document.title = `${run.run} – GSMFlow`;
  $("title").textContent = run.run;
  const { U, S, H } = run.scores;
  const scores = H !== null ? `; on its test set U ${percent(U)}, S ${percent(S)}, H ${percent(H)}` : S !== null ? `; on its test set S ${percent(S)}` : "";
  $("subtitle").textContent = `${run.method} on ${run.problem}${run.setting === "inductive" ? "" : ` (${run.setting})`}: ${run.seen} seen and ${run.unseen} unseen classes${scores}`;
  $("classes-title").textContent = `All ${classes.length} classes`;
  $("classes").replaceChildren(...classes.map((entry) => {
    const item = make("li", entry.seen ? "seen" : "unseen", entry.name);
    item.append(badge(entry));
    return item;
  }));
}

onSignIn((message) => {
  $("signed-in").hidden = true;
  $("subtitle").textContent = "";
  $("token-form").hidden = false;
  $("token-error").textContent = message;
  $("token").focus();
});
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  stored("token", $("token").value);
  guarded("token-error", load)();
});
$("theme").addEventListener("change", (event) => { document.documentElement.dataset.theme = event.target.value; });
guarded("load-error", load)();
