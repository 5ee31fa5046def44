// Asking the service, and making elements of what it says.
export const $ = (id) => document.getElementById(id);

// Text only ever enters as text: class names are anyone's.
export const make = (tag, className, text) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
};
export const percent = (value) => (value === null ? "–" : `${(100 * value).toFixed(1)}%`);
export const short = (value) => String(Number(value.toPrecision(4)));
export const badge = (entry) => make("span", "badge", entry.added ? "added" : entry.seen ? "seen" : "unseen");

export class SignIn extends Error {}

export const stored = (key, value) => {
  try {
    if (value !== undefined) sessionStorage.setItem(key, value);
    return sessionStorage.getItem(key) || "";
  } catch { return ""; }
};

export async function ask(path, options = {}) {
  const token = stored("token");
  const headers = { ...(options.headers || {}), ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch {
    throw new Error("The service does not answer. Is it still running?");
  }
  const said = await answer.json().catch(() => ({ detail: answer.statusText }));
  if (answer.status === 401) throw new SignIn(token ? "That is not the token." : "");
  if (!answer.ok) throw new Error(said.detail);
  return said;
}

export const post = (path, value) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) });

let signIn = () => {};
export const onSignIn = (action) => { signIn = action; };

// What goes wrong is said beside the button that was used, and is gone with the next try.
export const guarded = (place, action) => async (...given) => {
  $(place).textContent = "";
  try {
    return await action(...given);
  } catch (error) {
    if (error instanceof SignIn) signIn(error.message);
    else $(place).textContent = error.message;
  }
};

export function drawn(pixels, [height, width]) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  pixels.forEach((value, i) => image.data.set([value, value, value, 255], 4 * i));
  context.putImageData(image, 0, 0);
  return canvas;
}
