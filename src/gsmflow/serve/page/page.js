"use strict";
(() => {
  const SHOWN = 5; // classes in the answer
  const COMPARED = 3; // of them, with their attributes
  const MOST_ATTRIBUTES = 24; // more are cut to those that set the classes apart
  const $ = (id) => document.getElementById(id);
  const state = { run: null, classes: [], examples: null, asked: 0, compared: [] };

  // Text only ever enters as text: class names are anyone's.
  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const percent = (value) => (value === null ? "–" : `${(100 * value).toFixed(1)}%`);
  const short = (value) => String(Number(value.toPrecision(4)));

  const stored = (key, value) => {
    try {
      if (value !== undefined) sessionStorage.setItem(key, value);
      return sessionStorage.getItem(key) || "";
    } catch { return ""; }
  };

  async function ask(path, options = {}) {
    const token = stored("token");
    const headers = { ...(options.headers || {}), ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
    } catch {
      throw new Error("The service does not answer; is it still running?");
    }
    if (answer.status === 401) $("token-form").hidden = false;
    const said = await answer.json().catch(() => ({ detail: answer.statusText }));
    if (!answer.ok) throw new Error(said.detail);
    return said;
  }

  const post = (path, value) =>
    ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) });

  const complain = (error) => {
    $("error").hidden = !error;
    $("error").textContent = error ? error.message : "";
  };
  const guarded = (action) => async (...given) => {
    complain(null);
    try { return await action(...given); } catch (error) { complain(error); }
  };

  function drawn(pixels, [height, width]) {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    pixels.forEach((value, i) => image.data.set([value, value, value, 255], 4 * i));
    context.putImageData(image, 0, 0);
    return canvas;
  }

  function badge(entry) {
    return make("span", "badge", entry.added ? "added" : entry.seen ? "seen" : "unseen");
  }

  // -- what is there --------------------------------------------------------------------------

  async function load() {
    const [run, classes, examples] = await Promise.all([ask("v1/run"), ask("v1/classes"), ask("v1/examples")]);
    Object.assign(state, { run, examples });
    $("token-form").hidden = true;
    $("drop").hidden = !run.takes_images;
    $("no-images").hidden = run.takes_images;
    $("no-images").textContent = `No image can be dropped here: ${run.no_images}. Features can be sent to /v1/predict.`;
    $("add").hidden = !run.adds_classes;
    await showRun(run, classes.classes);
    showGallery();
  }

  async function showRun(run, classes) {
    state.run = run;
    state.classes = classes;
    document.title = `${run.run} – GSMFlow`;
    $("title").textContent = run.run;
    const unit = run.feature_dim === 1 ? "feature" : "features";
    $("subtitle").textContent =
      `${run.problem}, ${run.method}: ${run.seen} seen and ${run.unseen} unseen classes, ${run.feature_dim} ${unit}` +
      (run.scores.H === null ? "" : `; on its test set U ${percent(run.scores.U)}, S ${percent(run.scores.S)}, H ${percent(run.scores.H)}`);
    $("classes-title").textContent = `All ${classes.length} classes`;
    $("classes").replaceChildren(...classes.map((entry) => {
      const item = make("li", entry.seen ? "seen" : "unseen", entry.name);
      item.append(badge(entry));
      return item;
    }));
    const chosen = $("start-from").value;
    $("start-from").replaceChildren(...classes.map((entry) => new Option(entry.name, entry.index)));
    $("start-from").value = chosen || "0";
    if (!chosen && run.adds_classes) await startFrom(0);
  }

  function showGallery() {
    const { image_shape: shape, examples } = state.examples;
    const labels = [...new Map(examples.map((e) => [e.label, e.name]))];
    $("examples-text").textContent = examples.length
      ? "Test samples kept with the run; none of them was trained on."
      : "No test samples are kept with this run.";
    $("filters").hidden = !examples.length;
    $("of-class").replaceChildren(new Option("any", ""), ...labels.map(([label, name]) => new Option(name, label)));
    const list = () => {
      const wanted = $("of-class").value;
      const shown = examples.filter((e) => wanted === "" || e.label === Number(wanted));
      $("gallery").className = shape ? "pictures" : "named";
      $("gallery").replaceChildren(...shown.map((example) => {
        const button = make("button", "", shape ? undefined : example.name);
        button.type = "button";
        button.title = example.name;
        button.setAttribute("aria-label", `sample ${example.index + 1}, ${example.name}`);
        button.setAttribute("aria-pressed", "false");
        button.dataset.index = example.index;
        if (shape) button.append(drawn(example.pixels, shape));
        button.addEventListener("click", () => tryExample(example));
        return button;
      }));
    };
    $("of-class").onchange = list;
    $("another").onclick = () => {
      const buttons = [...$("gallery").children];
      const others = buttons.filter((b) => b.getAttribute("aria-pressed") === "false");
      const pick = (others.length ? others : buttons)[Math.floor(Math.random() * (others.length || buttons.length))];
      pick.click();
      pick.scrollIntoView({ block: "nearest" });
    };
    list();
  }

  // -- asking ---------------------------------------------------------------------------------

  const tryExample = guarded(async (example) => {
    const turn = ++state.asked;
    const { features } = await ask(`v1/examples/${example.index}`);
    const answer = await post("v1/predict", { features: [features], top: SHOWN });
    if (turn !== state.asked) return; // another sample was picked meanwhile
    for (const button of $("gallery").children)
      button.setAttribute("aria-pressed", String(Number(button.dataset.index) === example.index));
    const shape = state.examples.image_shape;
    state.repeat = () => tryExample(example);
    await showAnswer(answer, example.name, shape ? drawn(example.pixels, shape) : null, example.label);
  });

  const tryImage = guarded(async (file) => {
    const turn = ++state.asked;
    const form = new FormData();
    form.append("image", file);
    const answer = await ask(`v1/predict/image?top=${SHOWN}`, { method: "POST", body: form });
    if (turn !== state.asked) return;
    for (const button of $("gallery").children) button.setAttribute("aria-pressed", "false");
    const picture = document.createElement("img");
    picture.alt = "";
    picture.src = URL.createObjectURL(file);
    picture.onload = () => URL.revokeObjectURL(picture.src);
    state.repeat = () => tryImage(file);
    await showAnswer(answer, file.name, picture, null);
  });

  async function showAnswer(answer, name, picture, label) {
    const ranks = answer.predictions[0].classes;
    $("nothing").hidden = true;
    $("asked").hidden = false;
    $("asked-name").textContent = name;
    $("picture").replaceChildren(...(picture ? [picture] : []));
    const place = ranks.findIndex((rank) => rank.index === label);
    $("verdict").textContent =
      label === null ? "your image"
      : place === 0 ? "its true class, and recognised"
      : place > 0 ? `its true class; named in place ${place + 1}`
      : `its true class; not among the first ${ranks.length}`;
    $("ranks").replaceChildren(...ranks.map((rank) => {
      const item = make("li", rank.seen ? "seen" : "unseen");
      const line = make("div", "rank");
      const text = make("b", "", `${rank.name} `);
      text.append(badge(state.classes[rank.index] || rank));
      line.append(text, make("span", "number", percent(rank.probability)));
      const bar = make("div", "bar");
      const filled = make("i");
      filled.style.width = `${100 * rank.probability}%`;
      bar.append(filled);
      item.append(line, bar);
      return item;
    }));
    $("answered-by").textContent = `answered by ${answer.run}`;
    const compared = await Promise.all(ranks.slice(0, COMPARED).map((rank) => ask(`v1/classes/${rank.index}`)));
    showAttributes(compared);
  }

  function showAttributes(compared) {
    $("described").hidden = false;
    let dimensions = compared[0].attributes.map((_, d) => d);
    const apart = (d) => {
      const standings = compared.map((c) => c.attributes[d].standing);
      return Math.max(...standings) - Math.min(...standings);
    };
    if (dimensions.length > MOST_ATTRIBUTES) {
      dimensions = dimensions.sort((a, b) => apart(b) - apart(a)).slice(0, MOST_ATTRIBUTES);
      $("described-text").textContent =
        `The ${MOST_ATTRIBUTES} of ${compared[0].attributes.length} dimensions in which these classes differ most.`;
    } else {
      $("described-text").textContent = "Each value between the least and the largest of all classes.";
    }
    const head = make("tr");
    head.append(make("th", "", ""), ...compared.map((c) => make("th", c.seen ? "seen" : "unseen", c.name)));
    const thead = make("thead");
    thead.append(head);
    const tbody = make("tbody");
    for (const d of dimensions) {
      const row = make("tr");
      row.append(make("th", "", compared[0].attributes[d].name));
      for (const { attributes, seen } of compared) {
        const { value, low, high } = attributes[d];
        const cell = make("td", seen ? "seen" : "unseen");
        const bar = make("span", "bar");
        const filled = make("i");
        filled.style.width = `${high > low ? (100 * (value - low)) / (high - low) : 0}%`;
        if (value === low) filled.style.minWidth = "0";
        bar.append(filled);
        cell.append(bar, short(value));
        row.append(cell);
      }
      tbody.append(row);
    }
    $("attributes").replaceChildren(thead, tbody);
  }

  // -- adding a class -------------------------------------------------------------------------

  const startFrom = guarded(async (index) => {
    const { attributes } = await ask(`v1/classes/${index}`);
    $("values").replaceChildren(...attributes.map((attribute) => {
      const label = make("label");
      const input = make("input");
      input.type = "number";
      input.step = "any";
      input.required = true;
      input.value = short(attribute.value);
      input.title = `${short(attribute.low)} to ${short(attribute.high)} over all classes`;
      label.append(make("span", "", attribute.name), input);
      return label;
    }));
  });

  const addClass = guarded(async () => {
    const semantics = [...$("values").querySelectorAll("input")].map((input) => Number(input.value));
    $("add-button").disabled = true;
    $("added").hidden = true;
    $("add-state").textContent = "synthesizing features and fitting the classifier …";
    try {
      const made = await post("v1/classes", { name: $("new-name").value, semantics });
      showAdded(made);
      $("new-name").value = "";
      const [run, classes] = await Promise.all([ask("v1/run"), ask("v1/classes")]);
      await showRun(run, classes.classes);
      if (state.repeat) await state.repeat();
    } finally {
      $("add-button").disabled = false;
      $("add-state").textContent = "";
    }
  });

  function showAdded(made) {
    $("added").hidden = false;
    $("added-text").textContent =
      `${made.name} was added in ${made.seconds.toFixed(1)} seconds; ${made.run} answers from now on. ` +
      (made.before.S === null && made.before.U === null
        ? "There are no test samples to score the old classes on."
        : "On the test set, the old classes:");
    const rows = [["", "U", "S", "H"], ["before", made.before], ["after", made.after]].map((row, i) => {
      const line = make("tr");
      if (i === 0) line.append(...row.map((text, c) => make("th", c ? "n" : "", text)));
      else line.append(make("th", "", row[0]), ...["U", "S", "H"].map((key) => make("td", "n", percent(row[1][key]))));
      return line;
    });
    $("added-table").replaceChildren(...rows);
    $("added-notes").replaceChildren(...made.notes.map((note) => make("li", "", note)));
  }

  // -- the page itself ------------------------------------------------------------------------

  $("theme").addEventListener("change", (event) => { document.documentElement.dataset.theme = event.target.value; });
  $("start-from").addEventListener("change", (event) => startFrom(event.target.value));
  $("add-form").addEventListener("submit", (event) => { event.preventDefault(); addClass(); });
  $("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    stored("token", $("token").value);
    guarded(load)();
  });
  $("file").addEventListener("change", (event) => { if (event.target.files.length) tryImage(event.target.files[0]); });
  for (const kind of ["dragenter", "dragover"])
    $("drop").addEventListener(kind, (event) => { event.preventDefault(); $("drop").classList.add("over"); });
  for (const kind of ["dragleave", "drop"])
    $("drop").addEventListener(kind, (event) => { event.preventDefault(); $("drop").classList.remove("over"); });
  $("drop").addEventListener("drop", (event) => { if (event.dataTransfer.files.length) tryImage(event.dataTransfer.files[0]); });
  guarded(load)();
})();
